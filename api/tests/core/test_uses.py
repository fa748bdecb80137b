from __future__ import annotations

import pytest

from tests.project import Project

STEPS = ("ready", "startup", "shutdown")


@pytest.fixture
def notes(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the functions of the plugins note when they are called."""
    from opa import state

    found: list[str] = []
    monkeypatch.setitem(state, "notes", found)
    return found


def calls(project: Project, notes: list[str], code: str, *, step: str, file: str = "p.py") -> int:
    """How often the function of a plugin runs while the application starts and stops."""
    project.plugin(file, "from opa import get_router, register, state, task\nrouter = get_router()\n" + code % step)
    with project.client():
        pass
    return len(notes)


ENDPOINT = "    state['notes'].append('called')\n    return 1\n"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "code",
    {
        "endpoint": "@router.get('/x')\ndef %s():\n",
        "websocket": "from fastapi import WebSocket\n@router.websocket('/x')\ndef %s(socket: WebSocket):\n",
        "endpoint of an included router": (
            "other = get_router()\nrouter.include_router(other, prefix='/o')\n@other.get('/x')\ndef %s():\n"
        ),
        "endpoint of a mounted application": (
            "from fastapi import FastAPI\napp = FastAPI()\nrouter.mount('/m', app)\n@app.get('/x')\ndef %s():\n"
        ),
        "endpoint below a decorator": (
            "import functools\ndef same(f):\n    @functools.wraps(f)\n    def inner(): return f()\n    return inner\n"
            "@same\n@router.get('/x')\ndef %s():\n"
        ),
        "partial that is an endpoint": (
            "import functools\ndef half():\n    state['notes'].append(1)\n"
            "router.add_api_route('/x', (%s := functools.partial(half)))\ndef other():\n"
        ),
        "task": "@task\ndef %s():\n",
        "member of a group": "@register('switches')\ndef %s():\n",
        "receiver of a signal": "from celery.signals import worker_ready\n@worker_ready.connect\ndef %s(**_):\n",
        "command": "import typer\ncli = typer.Typer()\n@cli.command()\ndef %s():\n",
    }.values(),
)
def test_a_function_that_is_something_already_is_no_step(
    project: Project, notes: list[str], code: str, step: str
) -> None:
    assert (
        calls(
            project,
            notes,
            code.replace("%s():\n", "%s():\n" + ENDPOINT) if "%s()" in code else code + ENDPOINT,
            step=step,
        )
        == 0
    )


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "use",
    {
        "dependency of a route": "from fastapi import Depends\n"
        "@router.get('/x', dependencies=[Depends({0})])\ndef x(): ...",
        "dependency of a dependency": (
            "from fastapi import Depends\ndef user(token=Depends({0})): ...\n"
            "@router.get('/x')\ndef x(user=Depends(user)): ..."
        ),
        "dependency of a router": "from fastapi import Depends\nother = get_router(dependencies=[Depends({0})])",
        "dependency of an inclusion": "from fastapi import Depends\nother = get_router()\n"
        "@other.get('/x')\ndef x(): ...\nrouter.include_router(other, dependencies=[Depends({0})])",
        "dependency of an inclusion further in": (
            "from fastapi import Depends\nother = get_router()\ninner = get_router()\n@inner.get('/x')\ndef x(): ...\n"
            "other.include_router(inner, dependencies=[Depends({0})])\nrouter.include_router(other)"
        ),
        "dependency of an application that is mounted in itself": (
            "from fastapi import Depends, FastAPI\napp = FastAPI(dependencies=[Depends({0})])\n"
            "app.mount('/again', app)\nrouter.mount('/m', app)"
        ),
        "dependency that is written once": (
            "from typing import Annotated\nfrom fastapi import Depends\nUser = Annotated[str, Depends({0})]"
        ),
        "handler of exceptions": "class Odd(Exception): ...\nexception_handlers = {{Odd: {0}}}",
        "part of a middleware": (
            "from starlette.middleware import Middleware\nfrom starlette.middleware.base import BaseHTTPMiddleware\n"
            "middleware = [Middleware(BaseHTTPMiddleware, dispatch={0})]"
        ),
        "run of a hook": (
            "from opa import Hook, HookDefinition\nclass Off(HookDefinition): ...\n"
            "class Switch(Hook):\n    name = 'Off'\n    run = staticmethod({0})"
        ),
        "route that a setup adds": (
            "from opa import Setup\nclass Routes(Setup):\n    def __init__(self, app):\n"
            "        app.add_api_route('/x', {0})"
        ),
        "half of a route": "import functools\nrouter.add_api_route('/x', functools.partial({0}))",
        "route of a mount": (
            "from starlette.routing import Mount, Route\nrouter.routes.append(Mount('/m', routes=[Route('/x', {0})]))"
        ),
        "route of a mount with middleware": (
            "from starlette.middleware import Middleware\nfrom starlette.middleware.gzip import GZipMiddleware\n"
            "from starlette.routing import Mount, Route\n"
            "router.routes.append(Mount('/m', routes=[Route('/x', {0})], middleware=[Middleware(GZipMiddleware)]))"
        ),
        "handler of a signal": "import signal\nsignal.signal(signal.SIGUSR2, {0})",
        "task under another name": "other = task({0})",
    }.values(),
)
def test_a_function_that_is_used_for_something_is_no_step(
    project: Project, notes: list[str], use: str, step: str
) -> None:
    parameters = "request=None, error=None" if "exception_handlers" in use else ""
    assert calls(project, notes, f"def %s({parameters}):\n{ENDPOINT}\n{use.format(step)}", step=step) == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_handler_of_events_of_fastapi_runs_once(project: Project, notes: list[str], step: str) -> None:
    assert calls(project, notes, f"def %s():\n{ENDPOINT}\nrouter.add_event_handler('startup', {step})", step=step) == 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("group", ["startup", "shutdown"])
def test_a_member_of_the_group_startup_runs_once(project: Project, notes: list[str], group: str, step: str) -> None:
    project.settings(PLUGINS={group: [f"p.{step}"]})
    assert calls(project, notes, f"def %s():\n{ENDPOINT}", step=step) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_class_is_no_step(project: Project, notes: list[str], step: str) -> None:
    code = "class %s(Exception):\n    def __init__(self):\n        state['notes'].append('called')\n"
    assert calls(project, notes, code, step=step) == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_function_of_another_plugin_is_its_step_alone(project: Project, notes: list[str], step: str) -> None:
    project.plugin("user.py", f"from p import {step}")
    assert calls(project, notes, f"def %s():\n{ENDPOINT}", step=step) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_function_of_an_installed_module_is_no_step(project: Project, step: str) -> None:
    project.plugin("p.py", f"from logging import shutdown as {step}")
    (plugin,) = [found for found in project.prepare().registry.objects if found.plugin.name == "p"]
    assert not plugin.lifecycle.functions


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "code",
    {
        "function": "def %s():\n" + ENDPOINT,
        "object": "class Step:\n    def __call__(self):\n        state['notes'].append('called')\n%s = Step()\n",
        "method": "class Step:\n    def run(self):\n        state['notes'].append('called')\n%s = Step().run\n",
        "partial": "import functools\ndef run(n):\n    state['notes'].append(n)\n%s = functools.partial(run, 1)\n",
        "lambda": "%s = lambda: state['notes'].append('called')\n",
        "from a decorator of another module": "from unnamed import again\n@again\ndef %s():\n" + ENDPOINT,
    }.values(),
)
def test_any_other_callable_named_as_a_step_is_one(project: Project, notes: list[str], code: str, step: str) -> None:
    project.plugin("unnamed.py", "def again(f):\n    def inner():\n        return f()\n    return inner\n")
    assert calls(project, notes, code, step=step) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_step_may_come_from_a_module_of_its_package(project: Project, notes: list[str], step: str) -> None:
    project.plugin("p/steps.py", f"from opa import state\ndef {step}():\n{ENDPOINT}")
    assert calls(project, notes, "from .steps import %s\n", step=step, file="p/__init__.py") == 1


def test_a_step_in_a_submodule_counts_beside_a_route_of_its_name(project: Project, notes: list[str]) -> None:
    project.plugin("p/lifecycle.py", "from opa import state\ndef ready():\n    state['notes'].append('called')")
    assert calls(project, notes, "@router.get('/x')\ndef %s(): ...", step="ready", file="p/__init__.py") == 1
