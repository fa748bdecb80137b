"""Every way in which a plugin can be broken, with both policies, in the api and in a worker.

Beside the broken plugin `bad` stand `needs`, which requires it, and `good`, which has nothing to do with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from opa.core.lifespan import running
from opa.core.manager import PluginManager
from opa.errors import HookCallError, OpaError
from opa.tasks.application import application_of
from tests.project import Project

PARTS = """
from fastapi import APIRouter
from starlette.middleware import Middleware
from opa import Driver, Hook, HookDefinition, Setup, get_router, register, state, task

router = get_router()

@router.get("/{name}")
def route():
    return "{name}"

class {name}_definition(HookDefinition):
    pass

class {name}_hook(Hook):
    name = "{name}_definition"
    def run(self):
        return "{name}"

class {name}_driver(Driver):
    name = "{name}"
    def connect(self):
        self.instance = "{name}"
    def disconnect(self):
        state["notes"].append("{name} disconnected")

class {name}_middleware:
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            state["notes"].append("{name} middleware")
        await self.app(scope, receive, send)

middleware = [Middleware({name}_middleware)]

@task(schedule=60)
def {name}_task():
    pass

@register("things")
def {name}_thing():
    pass

class {name}_Error(Exception): pass

exception_handlers = {{{name}_Error: lambda request, error: None}}
"""

WAYS = {
    "syntax error": "def f(:",
    "missing import": "import nowhere_to_be_found",
    "hang": "import time\ntime.sleep(60)",
    "SystemExit": "raise SystemExit(0)",
    "wrong type": "router = 3",
    "hook without definition": "class stray(Hook):\n    def run(self): pass",
    "hook of wrong asyncness": "class bad_hook(Hook):\n    name = 'bad_definition'\n    async def run(self): pass",
    "required hook": "class needed(HookDefinition):\n    required = True",
    "driver twice": "class other(Driver):\n    name = 'BAD'",
    "route without a path": "router.get('')(route)",
    "setup that raises": "class broken_setup(Setup):\n    def __init__(self): 1 / 0",
    "ready that raises": "def ready():\n    raise ValueError('not ready')",
    "ready that exits": "async def ready():\n    raise SystemExit(3)",
    "ready that hangs": "import time\ndef ready():\n    time.sleep(60)",
    "ready that cannot be called": "ready = 3",
    "startup that raises": "async def startup():\n    raise ValueError('no start')",
    "task twice": "@task(name='bad.bad_task')\ndef again(): pass",
}
METADATA = {
    "bad metadata": "{",
    "circle": '{"requires": ["bad"]}',
    "missing requirement": '{"requires": ["nowhere"]}',
    "missing package": '{"packages": ["no-such-package"]}',
}
ALL = [*WAYS, *METADATA]
# In a worker there are no routes to be added.
OF_THE_API = {"route without a path"}


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from opa import state

    found: list[str] = []
    monkeypatch.setitem(state, "notes", found)
    return found


@pytest.fixture
def broken(project: Project, notes: list[str], request: pytest.FixtureRequest) -> Project:
    """The project, with `bad` broken in the way that the test's parameter names."""
    way = request.param
    for name in ("good", "bad"):
        project.plugin(f"{name}.py", PARTS.format(name=name) + (WAYS.get(way, "") if name == "bad" else ""))
    if way in METADATA:
        project.plugin("bad-meta.json", METADATA[way])
    project.plugin("needs.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/needs')(lambda: 1)")
    project.meta("needs-meta.json", {"requires": ["bad"]})
    for name in ("good", "bad"):
        project.component(name.upper(), name)
    project.settings(PLUGIN_IMPORT_TIMEOUT=1, PLUGIN_READY_TIMEOUT=1)
    return project


@contextmanager
def worker(manager: PluginManager) -> Iterator[None]:
    """What a process of a worker does."""

    async def start() -> None:
        async with running(manager):
            pass

    asyncio.run(start())
    yield


def nothing_of(name: str, manager: PluginManager) -> None:
    """Assert that nothing of the plugin stayed behind."""
    assert name not in [found.plugin.name for found in manager.registry.objects]
    assert f"{name}_definition" not in manager.hook_definitions
    assert f"{name}_definition" not in manager.hooks
    with pytest.raises(HookCallError):
        manager.call(f"{name}_definition")
    assert name not in manager.drivers
    assert name not in manager.optional_components
    assert f"{name}.{name}_task" not in application_of(manager).tasks
    assert f"{name}.{name}_task" not in application_of(manager).schedules
    assert f"{name}.{name}_thing" not in manager.groups.get("things")
    assert name in manager.roster.skipped


def all_of(name: str, manager: PluginManager) -> None:
    assert manager.call(f"{name}_definition") == name
    assert f"{name}.{name}_task" in application_of(manager).tasks
    assert f"{name}.{name}_task" in application_of(manager).schedules
    assert f"{name}.{name}_thing" in manager.groups.get("things")


@pytest.mark.parametrize("broken", ALL, indirect=True)
def test_with_skip_the_api_serves_everything_else_and_nothing_of_it_stays_behind(
    broken: Project, notes: list[str]
) -> None:
    broken.settings(PLUGIN_FAILURE="skip", READY_DETAILS=True)
    app = broken.app()
    from starlette.testclient import TestClient

    with TestClient(app) as client:
        assert client.get("/good").json() == "good"
        assert client.get("/bad").status_code == 404
        assert client.get("/needs").status_code == 404
        assert "bad middleware" not in notes
        assert "good middleware" in notes
        assert set(client.get("/openapi.json").json()["paths"]) == {"/good"}
        nothing_of("bad", app.manager)
        all_of("good", app.manager)
        assert list(app.manager.optional_components) == ["good"]
        assert not [key for key in app.exception_handlers if getattr(key, "__name__", "") == "bad_Error"]
        reasons = {row["name"]: row["reason"] for row in client.get("/readyz").json()["plugins"]}
        assert set(reasons) == {"bad", "needs"}
        assert "'bad'" in reasons["needs"]


@pytest.mark.parametrize("broken", [way for way in ALL if way not in OF_THE_API], indirect=True)
def test_with_skip_a_worker_runs_everything_else_and_nothing_of_it_stays_behind(broken: Project) -> None:
    broken.settings(PLUGIN_FAILURE="skip")
    manager = broken.prepare()
    with worker(manager):
        nothing_of("bad", manager)
        all_of("good", manager)
        assert set(manager.roster.skipped) == {"bad", "needs"}


@pytest.mark.parametrize("broken", ALL, indirect=True)
def test_with_fail_the_api_does_not_start_and_says_why(broken: Project, notes: list[str]) -> None:
    with pytest.raises(OpaError) as caught, broken.client():
        pass
    assert "bad" in str(caught.value)
    assert "good middleware" not in notes


@pytest.mark.parametrize("broken", [way for way in ALL if way not in OF_THE_API], indirect=True)
def test_with_fail_a_worker_does_not_start_and_says_why(broken: Project, notes: list[str]) -> None:
    with pytest.raises(OpaError) as caught, worker(broken.prepare()):
        pass
    assert "bad" in str(caught.value)


@pytest.mark.parametrize("broken", ["ready that raises"], indirect=True)
def test_components_of_a_plugin_that_is_skipped_are_disconnected(broken: Project, notes: list[str]) -> None:
    broken.settings(PLUGIN_FAILURE="skip")
    with broken.client():
        assert "bad disconnected" in notes
        assert "good disconnected" not in notes


@pytest.mark.parametrize("broken", ["missing import"], indirect=True)
def test_the_policy_may_be_that_of_one_plugin(broken: Project) -> None:
    broken.settings(PLUGIN_OPTIONS={"bad": {"FAILURE": "skip"}, "needs": {"FAILURE": "skip"}})
    with broken.client() as client:
        assert client.get("/good").status_code == 200


@pytest.mark.parametrize("broken", ["missing import"], indirect=True)
def test_a_plugin_that_may_not_be_skipped_and_requires_one_that_is_stops_the_start(
    broken: Project,
) -> None:
    broken.settings(PLUGIN_OPTIONS={"bad": {"FAILURE": "skip"}})
    with pytest.raises(OpaError, match="plugin 'needs' requires the plugin 'bad', which is skipped"):
        broken.prepare()


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_a_failing_shutdown_is_reported_and_keeps_nothing_from_stopping(
    project: Project, policy: str, notes: list[str]
) -> None:
    project.plugin("good.py", "from opa import state\ndef shutdown(): state['notes'].append('good')")
    project.plugin("zbad.py", "def shutdown():\n    1 / 0")
    project.settings(PLUGIN_FAILURE=policy)
    with pytest.raises(OpaError, match=r"shutdown\(\) of plugin 'zbad'"), project.client():
        pass
    assert notes == ["good"]


def test_a_plugin_that_is_skipped_is_shown_by_opa_plugins(project: Project) -> None:
    from typer.testing import CliRunner

    from opa.cli.commands import app

    project.plugin("bad.py", "import nowhere_to_be_found")
    project.settings(PLUGIN_FAILURE="skip")
    result: Any = CliRunner().invoke(app, ["plugins"], catch_exceptions=False)
    assert "does not import: ModuleNotFoundError" in result.stdout
