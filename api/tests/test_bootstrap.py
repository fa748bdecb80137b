"""The steps before the fork: what they are told, and what they say."""

from __future__ import annotations

import pytest

from opa import state
from opa.logging.logger import log
from opa.tasks.application import TaskApplication
from tests.project import Project


def test_the_log_names_a_built_in_plugin_where_a_filter_refused_it(project: Project) -> None:
    project.plugin("hello.py")
    project.settings(PLUGIN_BLACKLIST_RE=".*/core_docs")
    written: list[str] = []
    sink = log.add(written.append, level="DEBUG", format="{message}")
    try:
        project.prepare()
    finally:
        log.remove(sink)
    (said,) = [line for line in written if line.startswith("plugin")]
    assert "/core_docs: skipped" in said


@pytest.mark.parametrize(
    ("mode", "runner"),
    [
        ("api", "uvicorn"),
        ("worker", "celery"),
        ("beat", "beat"),
        ("flower", "celery"),
        ("shell", "ipython"),
        ("command", "command"),
    ],
)
def test_plugins_read_what_runs_while_they_are_imported_and_afterwards(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, runner: str
) -> None:
    monkeypatch.setitem(state, "runner", "")
    monkeypatch.setitem(state, "mode", "")
    project.plugin("told.py", "from opa import state\n\nseen = (state['mode'], state['runner'])")
    manager = project.prepare(mode)
    (found,) = [each.plugin for each in manager.registry.objects if each.plugin.name == "told"]
    assert (found.module.seen, manager.mode) == ((mode, runner), mode)
    assert (state["mode"], state["runner"]) == (mode, runner)


def test_listing_the_plugins_runs_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(state, "runner", "mine")
    monkeypatch.setitem(state, "mode", "mine")
    assert (project.prepare().mode, state["runner"], state["mode"]) == ("", "mine", "mine")


def test_drivers_are_told_the_mode_of_their_application(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1", BACKEND_URL="redis://127.0.0.1:1")
    manager = project.prepare("worker")
    monkeypatch.setitem(state, "runner", "uvicorn")
    driver = manager.component_states["celery"].driver
    assert driver is not None
    assert (driver.breakers(), driver.hosts()) == ([], [])


def test_the_component_of_a_driver_that_settings_name_is_there_while_plugins_are_imported(project: Project) -> None:
    project.plugin("queue_driver.py", "from opa import CeleryDriver\n\nclass Mine(CeleryDriver):\n    name = 'mine'")
    project.plugin("early.py", "from opa import get_instance\n\ncelery = get_instance('Jobs')")
    project.component("JOBS", "mine", BROKER_URL="redis://127.0.0.1:1", BACKEND_URL="redis://127.0.0.1:1")
    project.settings(TASK_DRIVERS=["mine"])
    manager = project.prepare()
    (found,) = [each.plugin for each in manager.registry.objects if each.plugin.name == "early"]
    assert isinstance(found.module.celery, TaskApplication)
    assert found.module.celery is manager.celery
