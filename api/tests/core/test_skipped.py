"""What is wrong with one plugin skips that one alone, whichever step of the start finds it."""

from __future__ import annotations

import pytest

from opa import get_plugin_manager
from opa.checks.tasks import tasks_that_cannot_be_made
from opa.errors import ComponentError, PluginError, SettingsError
from opa.tasks.application import application_of
from tests.project import Project

TASK = "from celery import Task, shared_task\nfrom opa import get_instance, task\n"
HOOK = """
from opa import Hook
class Setup(Hook):
    name = "driver.celery.setup"
    order = 1
    def run(self, celery_app):
        {}
"""
DRIVER = """
from opa import Driver
class Mine(Driver):
    name = "mine"
    {}
"""
MEMBER = "from opa import register\n@register('{}')\n{}"
OWN_HOOK = """
import time
from opa import Hook, HookDefinition
class Thing(HookDefinition): ...
class Halt(BaseException): ...
class Mute(Exception):
    def __str__(self): raise ValueError
class Own(Hook):
    name = "Thing"
    def __init__(self):
        {}
    def run(self): ...
"""
LIFESPAN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from opa import get_router
class Bad:
    def __init__(self, app):
        raise ValueError("no licence")
inner = FastAPI()
inner.add_middleware(Bad)
router = get_router()
router.mount("/inner", inner)
"""
MIDDLEWARE = """
from starlette.middleware import Middleware
class Bad:
    def __init__(self, app):
        {}
middleware = [Middleware(Bad)]
"""

BROKEN = {
    "a rate limit of a task": (TASK + "@task(rate_limit='100/x')\ndef build(): ...", 'rate_limit is "100/x"'),
    "one of a shared task": (TASK + "@shared_task(rate_limit='100/x')\ndef build(): ...", 'rate_limit is "100/x"'),
    "an option of a task": (
        TASK + "@task(autoretry_for=ValueError)\ndef build(): ...",
        "autoretry_for is <class 'ValueError'>, should be a tuple of exception classes",
    ),
    "one of a shared task that is late": (
        TASK + "@shared_task(autoretry_for=ValueError)\ndef build(): ...",
        "task 'jobs.build'",
    ),
    "the base of a shared task": (TASK + "@shared_task(base=int)\ndef build(): ...", "the base of task 'jobs.build'"),
    "a hook of the driver of celery": (
        HOOK.format("raise ValueError('no')"),
        "hook 'driver.celery.setup' of plugin 'jobs'",
    ),
    "one that gives nothing": (HOOK.format("pass"), "returned a NoneType, not the Celery application"),
    "a hook that raises what is no Exception": (OWN_HOOK.format("raise Halt('no')"), "cannot be made: Halt: no"),
    "one whose error has no text": (OWN_HOOK.format("raise Mute"), "cannot be made: Mute, whose text cannot be had"),
    "what a driver prepares": (DRIVER.format("def prepare(self):\n        self.nothing.at_all"), "AttributeError"),
    "every error of a driver": (DRIVER.format("connection_errors = (Exception,)"), "which is every error"),
    "a single error of a driver": (
        DRIVER.format("connection_errors = OSError"),
        "which is not a tuple of exception classes",
    ),
    "a function of the group startup": (
        MEMBER.format("startup", "def warm():\n    raise ValueError('no')"),
        "ValueError: no",
    ),
    "one of it that asks for nothing there is": (MEMBER.format("startup", "def warm(nothing): ..."), "'nothing'"),
    "middleware": (
        MIDDLEWARE.format("raise ValueError('no licence')"),
        "middleware 'jobs.Bad' of plugin 'jobs' cannot be",
    ),
    "middleware that exits": (MIDDLEWARE.format("raise SystemExit(3)"), "it calls sys.exit(3) in its __init__"),
    "middleware of the group": (
        MEMBER.format(
            "middleware", "class Bad:\n    def __init__(self, app): 1 / 0\n    async def __call__(self, *_): ..."
        ),
        "middleware 'jobs.Bad' of plugin 'jobs' cannot be made: ZeroDivisionError",
    ),
    "middleware of what is mounted": (LIFESPAN, "of a mounted application of plugin 'jobs' cannot be made: ValueError"),
}


@pytest.fixture
def started(project: Project) -> Project:
    project.plugin(
        "hello.py", "from opa import get_router\nrouter = get_router()\n@router.get('/hello')\ndef hello(): ..."
    )
    project.component("CELERY", "celery", load="auto", BROKER_URL="redis://nowhere.invalid:1")
    project.component("MINE", "mine", load="auto")
    project.plugin("mine.py", "from opa import Driver\nclass Other(Driver):\n  name = 'mine'\n  def connect(self): ...")
    return project


def _with(project: Project, plugin: str) -> None:
    project.plugin("jobs.py", plugin)
    if "class Mine(Driver)" in plugin:
        (project.plugins / "mine.py").unlink()


BASE = TASK + "class Base(Task):\n    def __init__(self): raise OSError('no')\n@{}(base=Base)\ndef build(): ..."


@pytest.mark.parametrize("decorator", ["task", "shared_task"])
def test_a_worker_leaves_out_a_plugin_with_a_task_that_cannot_be_made(started: Project, decorator: str) -> None:
    started.plugin("jobs.py", BASE.format(decorator))
    started.settings(PLUGIN_OPTIONS={"jobs": {"FAILURE": "skip"}})
    manager = started.prepare("worker")
    assert "task 'jobs.build' cannot be made: OSError: no" in str(manager.roster.skipped["jobs"])
    assert "jobs.py:" in str(manager.roster.skipped["jobs"])


def test_an_uncreatable_task_is_reported_where_it_is_used_and_others_continue(started: Project) -> None:
    started.plugin("jobs.py", BASE.format("task") + "\n@task\ndef fine(): return 3")
    celery = application_of(started.prepare())
    assert celery.tasks["jobs.fine"]() == 3
    (failure,) = tasks_that_cannot_be_made(get_plugin_manager())
    assert failure.plugin == "jobs"
    with pytest.raises(PluginError, match="task 'jobs.build' cannot be made: OSError: no"):
        __import__("jobs").build.delay()
    with pytest.raises(PluginError, match="task 'jobs.build' cannot be made: OSError: no"):
        __import__("jobs").build()


def test_a_hook_that_hangs_while_it_is_made_skips_its_plugin(started: Project) -> None:
    started.plugin("jobs.py", OWN_HOOK.format("time.sleep(600)"))
    started.settings(PLUGIN_OPTIONS={"jobs": {"FAILURE": "skip", "IMPORT_TIMEOUT": 1.5}})
    skipped = started.prepare().roster.skipped["jobs"]
    assert "hook Own of plugin 'jobs' cannot be made: it takes longer than 1.5 s" in str(skipped)


@pytest.mark.parametrize(("plugin", "problem"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_plugin_stops_the_start_with_an_error_that_names_it(
    started: Project, plugin: str, problem: str
) -> None:
    _with(started, plugin)
    if "AttributeError" in problem:  # what a driver prepares may be a mistake in its options
        with pytest.raises(ComponentError, match=problem):
            started.prepare()
        return
    with pytest.raises(PluginError) as caught, started.client():
        pass
    assert problem in str(caught.value)
    assert caught.value.plugin == "jobs"
    assert "jobs.py" in str(caught.value)


@pytest.mark.parametrize(("plugin", "problem"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_plugin_is_skipped_and_all_others_are_served(started: Project, plugin: str, problem: str) -> None:
    _with(started, plugin)
    started.settings(PLUGIN_FAILURE="skip")
    with started.client() as client:
        assert client.get("/hello").status_code == 200
        assert client.get("/readyz").json()["plugins"] == [{"name": "jobs", "status": "skipped"}]
        skipped = client.app.manager.roster.skipped  # type: ignore[attr-defined]
    assert problem in str(skipped["jobs"])


def test_entries_of_the_settings_for_a_plugin_that_is_skipped_stand_in_no_group(project: Project) -> None:
    project.plugin("broken.py", "import nowhere_to_be_found")
    project.plugin("late.py", "def warm(): ...\ndef ready(): raise ValueError('no')")
    project.plugin("shop.py", "def warm(): ...")
    project.settings(PLUGIN_FAILURE="skip", PLUGINS={"warm": ["broken.warm", "late:warm", "shop.warm"]})
    manager = project.app().manager
    assert list(manager.groups.get("warm")) == ["late:warm", "shop.warm"]
    with project.client() as client:
        assert list(client.app.manager.groups.get("warm")) == ["shop.warm"]  # type: ignore[attr-defined]


def test_a_wrong_entry_of_the_settings_stops_the_start_also_with_plugin_failure_skip(project: Project) -> None:
    project.plugin("shop.py", "value = 3")
    project.settings(PLUGIN_FAILURE="skip", MIDDLEWARE=["shop.value"])
    with pytest.raises(PluginError, match=r"'shop.value' in the group middleware is an int"):
        project.app()


def test_an_option_of_a_driver_that_cannot_be_used_is_no_mistake_of_its_plugin(started: Project) -> None:
    _with(started, DRIVER.format("def prepare(self):\n        raise ValueError('no URL')"))
    started.settings(PLUGIN_FAILURE="skip")
    with pytest.raises(Exception, match="component 'mine' .* cannot be prepared: ValueError: no URL"):
        started.prepare()


def test_settings_of_a_plugin_stop_the_start_all_the_same(project: Project) -> None:
    project.plugin("shop.py", "from opa import PluginSettings\nclass S(PluginSettings):\n  rows: int\n")
    project.settings(PLUGIN_FAILURE="skip", PLUGIN_SETTINGS={"shop": {"rows": "many"}})
    with pytest.raises(SettingsError):
        project.prepare()
