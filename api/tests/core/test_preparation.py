from __future__ import annotations

import asyncio

import pytest

from opa.core.lifespan import running
from opa.core.preparation import prepare_found
from opa.tasks.pending import PendingTasks
from tests.project import Project

WAITING = """
from opa.plugins.driver_redis import Walrus

class Red(Walrus):
    name = "redis-walrus"

    def prepare(self):
        self.is_ready = True

    def connect(self):
        self.instance = self.is_ready

    def validate(self): ...
    def disconnect(self): ...
"""


@pytest.fixture
def waiting(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a driver that waits for the host of its component, which the settings do not mention."""
    project.plugin("driver_redis.py", WAITING)
    project.plugin("driver_more.py", WAITING.replace("redis-walrus", "redis-aioredis"))
    # The settings of the fixture turn all components off.
    monkeypatch.setenv("OPA_SETTINGS_DIR", str(project.folder / "plugins"))
    monkeypatch.setenv("OPA_PLUGIN_PATHS", str(project.plugins))
    return project


@pytest.mark.parametrize("is_there", [True, False])
def test_a_default_component_is_prepared_when_its_host_is_found(
    waiting: Project, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa.core.components.resolves", lambda host, _: is_there and host == "redis")
    manager = waiting.prepare()
    assert not manager.component_states["walrus"].is_prepared

    async def status() -> str:
        async with running(manager):
            return manager.component_states["walrus"].status

    assert asyncio.run(status()) == ("connected" if is_there else "not loaded")
    assert manager.component_states["walrus"].is_prepared is is_there


def test_a_component_is_prepared_before_the_fork_if_its_host_is_known(waiting: Project) -> None:
    manager = waiting.prepare()
    prepare_found(manager, {"redis"})
    assert manager.component_states["walrus"].is_prepared
    assert not manager.component_states["mongodb"].is_prepared


@pytest.mark.parametrize("setting", ["LOAD", "OPTS__URL", "OPTS__SOCKET_TIMEOUT"])
def test_a_component_that_the_settings_mention_is_prepared_at_once(
    waiting: Project, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"LOAD": "auto", "OPTS__URL": "redis://nowhere.invalid"}.get(setting, "5")
    monkeypatch.setenv(f"OPA_OPTIONAL_COMPONENTS__WALRUS__{setting}", value)
    assert waiting.prepare().component_states["walrus"].is_prepared


@pytest.mark.parametrize("how", ["a task", "a hook", "a setting"])
def test_that_of_celery_is_prepared_at_once_where_something_is_for_it(
    waiting: Project, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PendingTasks, "are_used", property(lambda self: self._application is not None))
    if how == "a task":
        waiting.plugin("jobs.py", "from opa import task\n@task\ndef noop(): ...")
    elif how == "a hook":
        waiting.plugin(
            "hooked.py",
            "from opa import Hook\nclass Set(Hook):\n  name = 'driver.celery.setup'\n  def run(self, celery_app):\n"
            "    return celery_app",
        )
    else:
        monkeypatch.setenv("OPA_CELERY_TASK_DEFAULT_QUEUE", "mine")
    manager = waiting.prepare()
    assert manager.component_states["celery"].is_prepared
    assert manager.celery.conf.broker_url.startswith("pyamqp://")


def test_the_application_of_celery_is_configured_when_it_is_asked_for(
    waiting: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PendingTasks, "are_used", property(lambda self: self._application is not None))
    manager = waiting.prepare()
    assert not manager.component_states["celery"].is_prepared
    assert manager.celery.conf.broker_url.startswith("pyamqp://")
