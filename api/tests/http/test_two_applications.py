"""Two applications in one process."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import httpx2
import pytest
from starlette.testclient import TestClient

from opa import get_plugin_manager
from tests import programs
from tests.project import Project

PLUGIN = """
from opa import (
    Driver, Hook, HookDefinition, PluginSettings, call_hook, get_instance, get_plugins, get_router, register, task,
)

router = get_router()

class {name}_hook(HookDefinition):
    pass

class fill(Hook):
    name = "{name}_hook"
    def run(self): return "{name}"

class Mine(PluginSettings):
    value: str = "none"

class Fake(Driver):
    name = "fake"
    def connect(self): self.instance = "{name}"

@register("things")
def {name}_thing(): pass

@task(name="{name}.task")
def work(): pass

@router.get("/what")
def what():
    hooks = []
    for name in ("a", "b"):
        try:
            hooks.append(call_hook(name + "_hook"))
        except KeyError:
            pass
    from opa import get_plugin_manager
    tasks = [name for name in get_plugin_manager().celery.tasks if name.endswith(".task")]
    return [hooks, list(get_plugins("things")), Mine.current().value, get_instance("thing"), tasks]
"""


@pytest.mark.parametrize("running_at_once", [True, False])
def test_do_not_see_each_others_plugins_hooks_groups_settings_components_or_tasks(
    project: Project, running_at_once: bool
) -> None:
    project.component("THING", "fake")
    apps = {}
    for name in ("a", "b"):
        project.plugin(f"{name}_plugin.py", PLUGIN.format(name=name), folder=name)
        project.settings(PLUGIN_PATHS=[name], PLUGIN_SETTINGS={f"{name}_plugin": {"value": name}})
        apps[name] = project.app()
        project.settings(PLUGIN_SETTINGS={})
    expected = {name: [[name], [f"{name}_plugin.{name}_thing"], name, name, [f"{name}.task"]] for name in apps}
    if running_at_once:
        with TestClient(apps["a"]) as a, TestClient(apps["b"]) as b:
            for _ in range(2):
                assert a.get("/what").json() == expected["a"]
                assert b.get("/what").json() == expected["b"]
    else:
        for name, app in apps.items():
            with TestClient(app) as client:
                assert client.get("/what").json() == expected[name]


def test_code_that_calls_one_of_them_does_not_belong_to_it_afterwards(project: Project) -> None:
    """As the middleware or the application around it does."""
    a, b = project.app(), project.app()

    async def request() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(a), base_url="http://a") as client:
            assert (await client.get("/healthz")).status_code == 200
        assert get_plugin_manager() is b.manager

    asyncio.run(request())


HOOK = """
from opa import Hook, HookDefinition, call_hook

try:
    found = call_hook("who")
except Exception as error:
    found = type(error).__name__

class Who(HookDefinition):
    name = "who"

class Fill(Hook):
    name = "who"
    def run(self): return "{name}"
"""

ONE_AFTER_ANOTHER = """
import os, sys
from opa import call_hook
from opa.bootstrap import prepare
from opa.core.running import belonging_to

managers = {}
for name in ("a", "b"):
    os.environ["OPA_PLUGIN_PATHS"] = name
    managers[name] = prepare()
    print(sys.modules[f"{name}_plugin"].found, call_hook("who"))
with belonging_to(managers["a"]):
    print(call_hook("who"))
"""


def test_an_application_that_was_alone_keeps_its_hooks_when_another_one_comes(project: Project) -> None:
    """In a process of its own, since others that were prepared in this one may still be there."""
    for name in ("a", "b"):
        project.plugin(f"{name}_plugin.py", HOOK.format(name=name), folder=name)
    done = programs.run([sys.executable, "-c", ONE_AFTER_ANOTHER])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["NotRunningError", "a", "NotRunningError", "b", "a"]


@pytest.mark.parametrize("helper", ["_prices.py", "_prices/__init__.py"])
def test_each_application_imports_the_modules_beside_its_own_plugins(project: Project, helper: str) -> None:
    for name in ("a", "b"):
        project.plugin(helper, f"OWNER = {name!r}", folder=name)
        project.plugin("rates/euro.py", f"OWNER = {name!r}", folder=name)
        project.plugin("shop.py", "from _prices import OWNER as one\nfrom rates.euro import OWNER as two", folder=name)
        project.settings(PLUGIN_PATHS=[name])
        project.prepare()
        assert (sys.modules["shop"].one, sys.modules["shop"].two) == (name, name)


def test_an_application_that_is_gone_leaves_neither_its_plugins_nor_its_routes(project: Project) -> None:
    """Of 500 tests with an application each, 200 MB would stay."""
    project.plugin(
        "shop.py",
        """
        from fastapi import Depends
        from opa import get_router

        router = get_router()

        def stock(): ...

        @router.get("/shop", dependencies=[Depends(stock)])
        async def shop():
            return 1
        """,
    )
    gone = []
    for _ in range(3):
        with project.client() as client:
            assert client.get("/shop").json() == 1
            gone.append(weakref.ref(sys.modules["shop"].shop))
        del client
    project.app()
    gc.collect()
    assert [each() for each in gone] == [None] * 3
