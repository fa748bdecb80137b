from __future__ import annotations

import pytest

from opa.errors import LifecycleError
from tests.project import Project

NOTE = """
from opa import state

def ready():
    state["notes"].append("{0} ready")

async def startup():
    state["notes"].append("{0} startup")

def shutdown():
    state["notes"].append("{0} shutdown")
"""


@pytest.fixture
def notes(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the plugins note."""
    from opa import state

    found: list[str] = []
    monkeypatch.setitem(state, "notes", found)
    return found


def failure(project: Project) -> str:
    with pytest.raises(LifecycleError) as caught, project.client():
        pass
    return str(caught.value)


def test_ready_and_startup_run_in_the_order_of_the_plugins_and_shutdown_in_reverse(
    project: Project, notes: list[str]
) -> None:
    for name in "ba":
        project.plugin(f"{name}.py", NOTE.format(name))
    with project.client():
        assert notes == ["a ready", "b ready", "a startup", "b startup"]
    assert notes[4:] == ["b shutdown", "a shutdown"]


@pytest.mark.parametrize("place", ["apps", "lifecycle"])
def test_the_functions_may_stand_in_a_submodule(project: Project, notes: list[str], place: str) -> None:
    project.plugin("p/__init__.py")
    project.plugin(f"p/{place}.py", NOTE.format(place))
    with project.client():
        assert notes == [f"{place} ready", f"{place} startup"]


def test_the_top_of_the_package_wins(project: Project, notes: list[str]) -> None:
    project.plugin("p/__init__.py", NOTE.format("top").replace("async def startup", "async def _startup"))
    project.plugin("p/apps.py", NOTE.format("apps"))
    with project.client():
        assert notes == ["top ready", "apps startup"]


def test_lifecycle_functions_run_after_the_components_are_connected_and_get_their_parameters(
    project: Project, notes: list[str]
) -> None:
    project.plugin(
        "p.py",
        """
        from typing import Annotated
        from opa import Component, Driver, state

        class Fake(Driver):
            name = "fake"
            def connect(self):
                self.instance = "client"

        async def ready(app, config, thing: Annotated[str, Component("thing")]):
            state["notes"] += [app.title, config.PROJECT_NAME, thing]
        """,
    )
    project.component("THING", "fake")
    with project.client():
        assert notes == ["opa-stack", "opa-stack", "client"]


def test_an_error_names_plugin_file_and_line_and_stops_the_start(project: Project) -> None:
    file = project.plugin("pb/__init__.py", "\n\nasync def ready():\n    raise ValueError('no')\n")
    assert failure(project).startswith(f"ready() of plugin 'pb' ({file}:3) raised ValueError: no")


def test_plugins_that_had_started_are_stopped_in_reverse_and_the_first_error_is_reported(
    project: Project, notes: list[str]
) -> None:
    project.plugin("a.py", NOTE.format("a").replace('"a shutdown")', '"a shutdown"); 1 / 0'))
    project.plugin("b.py", NOTE.format("b"))
    project.plugin("c.py", "def ready():\n    raise ValueError('first')")
    assert "ValueError: first" in failure(project)
    assert notes == ["a ready", "b ready", "b shutdown", "a shutdown"]


def test_a_failing_shutdown_keeps_no_other_from_stopping(project: Project, notes: list[str]) -> None:
    project.plugin("a.py", NOTE.format("a"))
    project.plugin("b.py", "def shutdown():\n    1 / 0")
    assert "shutdown() of plugin 'b'" in failure(project)
    assert notes[-1] == "a shutdown"


def test_a_missing_import_inside_apps_is_an_error_of_apps(project: Project) -> None:
    project.plugin("p/__init__.py")
    file = project.plugin("p/apps.py", "import nowhere_to_be_found")
    from opa.errors import PluginImportError

    with pytest.raises(PluginImportError, match=rf"apps.py of plugin 'p' does not import: .*\({file}:1\)"):
        project.prepare()


@pytest.mark.parametrize(
    "declared", ["def ready", "async def startup", "import functools\n@functools.cache\ndef shutdown"]
)
def test_a_lifecycle_step_that_yields_is_an_error_since_nothing_would_run_it(project: Project, declared: str) -> None:
    file = project.plugin("p.py", f"{declared}():\n    yield")
    with pytest.raises(LifecycleError, match="of plugin 'p' has a yield, and nothing would run its body") as caught:
        project.prepare()
    assert f"({file}:" in str(caught.value)


def test_a_context_manager_with_the_name_of_a_step_is_none(project: Project) -> None:
    project.plugin("p.py", "import contextlib\n@contextlib.asynccontextmanager\nasync def startup(app):\n    yield")
    (found,) = [found for found in project.prepare().registry.objects if found.plugin.name == "p"]
    assert not found.lifecycle.functions


TOOLS = """
class Server:
    def __init__(self):
        self.tools = []

    def tool(self, function):
        self.tools.append(function)
        return function

tools = Server()
"""


@pytest.mark.parametrize(
    "declared",
    [
        f"{TOOLS}\n@tools.tool\ndef shutdown(): ...",
        f"{TOOLS}\n@tools.tool\nasync def shutdown():\n    yield 1",
        "def shutdown(): ...\nACTIONS = {'off': shutdown}",
        "from types import SimpleNamespace\ndef shutdown(): ...\nbuttons = SimpleNamespace(off=shutdown)",
    ],
)
def test_a_function_that_something_else_holds_is_no_step_whatever_its_name(project: Project, declared: str) -> None:
    project.plugin("p.py", declared)
    (found,) = [found for found in project.prepare().registry.objects if found.plugin.name == "p"]
    assert not found.lifecycle.functions
    assert list(found.lifecycle.held) == ["shutdown"]


@pytest.mark.parametrize(
    "declared",
    [
        "def shutdown(): ...",
        "import functools\ndef shutdown(): ...\nagain = functools.wraps(shutdown)(lambda: shutdown())",
        "import functools\ndef shutdown(): ...\nshutdown = functools.cache(shutdown)",
        "def shutdown(): ...\nclose = shutdown\ndef other(call=shutdown): ...",
    ],
)
def test_a_step_that_is_wrapped_or_has_a_second_name_is_one(project: Project, declared: str) -> None:
    project.plugin("p.py", declared)
    project.plugin("q.py", "from p import shutdown as of_p")
    project.plugin("z.py", "router = 1")  # what is found is looked at once more without it
    project.settings(PLUGIN_FAILURE="skip")
    (found,) = [found for found in project.prepare().registry.objects if found.plugin.name == "p"]
    assert list(found.lifecycle.functions) == ["shutdown"]


def test_a_route_behind_a_decorator_that_does_not_say_what_it_wraps_is_no_step(project: Project) -> None:
    project.plugin(
        "p.py",
        """
        from opa import get_router

        router = get_router()

        def counted(function):
            def run(*args):
                return function(*args)
            return run

        @counted
        @router.post("/off")
        def shutdown(): ...
        """,
    )
    (found,) = [found for found in project.prepare().registry.objects if found.plugin.name == "p"]
    assert not found.lifecycle.functions


@pytest.mark.parametrize("step", ["ready", "startup", "shutdown"])
def test_a_lifecycle_step_that_cannot_be_called_is_an_error(project: Project, step: str) -> None:
    file = project.plugin("p.py", f"{step} = True")
    with pytest.raises(LifecycleError) as caught:
        project.prepare()
    assert f"'{step}' of plugin 'p' is a bool and cannot be called ({file})" in str(caught.value)


@pytest.mark.parametrize(
    "body", ["def ready():\n    time.sleep(30)", "async def ready():\n    await asyncio.sleep(3600)"]
)
def test_past_its_limit_a_step_has_failed(project: Project, body: str) -> None:
    project.plugin("p.py", f"import asyncio, time\n{body}")
    project.settings(PLUGIN_READY_TIMEOUT=0.2)
    error = failure(project)
    assert "ready() of plugin 'p'" in error
    assert "takes longer than 0.2 s" in error
    assert "PLUGIN_READY_TIMEOUT" in error


def test_a_limit_may_be_that_of_one_plugin(project: Project) -> None:
    project.plugin("p.py", "import asyncio\nasync def startup():\n    await asyncio.sleep(3600)")
    project.settings(PLUGIN_OPTIONS={"p": {"STARTUP_TIMEOUT": 0.1}})
    assert "takes longer than 0.1 s" in failure(project)


def test_at_a_third_of_its_limit_there_is_a_warning(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.plugin("slow.py", "import asyncio\nasync def ready():\n    await asyncio.sleep(1)")
    project.settings(PLUGIN_READY_TIMEOUT=2.4)
    with project.client():
        pass
    assert "ready() of plugin 'slow' has taken 0." in capsys.readouterr().err


def test_an_import_that_hangs_ends_at_the_limit(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    from opa.errors import PluginImportError

    file = project.plugin("hang.py", "import time\ntime.sleep(3600)")
    project.settings(PLUGIN_IMPORT_TIMEOUT=0.6)
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert f"plugin 'hang' takes longer than 0.6 s to import ({file}:2)" in str(caught.value)
    assert "importing plugin 'hang' has taken" in capsys.readouterr().err


def test_an_import_that_takes_seconds_is_told_long_before_its_limit(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opa._util import watchdog

    monkeypatch.setattr(watchdog, "TOLD_AFTER", 0.05)
    project.plugin("slow.py", "import time\ntime.sleep(0.5)")
    project.prepare()
    said = capsys.readouterr().err
    assert "importing plugin 'slow' has taken 0." in said
    assert "so far; its limit is 60 s" in said
    assert "WARNING" not in said


def test_functions_of_the_groups_startup_and_shutdown_belong_to_no_plugin(project: Project, notes: list[str]) -> None:
    project.plugin("a.py", NOTE.format("a"))
    project.plugin(
        "functions.py",
        "from opa import state\ndef up(): state['notes'].append('up')\nasync def down(): state['notes'].append('down')",
    )
    project.settings(PLUGINS={"startup": ["functions.up"], "shutdown": ["functions.down"]})
    with project.client():
        assert notes == ["a ready", "a startup", "up"]
    assert notes[3:] == ["down", "a shutdown"]


def test_an_unknown_parameter_of_a_lifecycle_function_is_reported_with_its_place(project: Project) -> None:
    from opa.errors import SetupError

    file = project.plugin("p.py", "def ready(redis):\n    pass")
    with pytest.raises(SetupError) as caught, project.client():
        pass
    assert str(caught.value).startswith(f"ready() of plugin 'p' asks for 'redis', which is not injectable ({file}:1)")


@pytest.mark.parametrize("step", ["ready", "startup"])
def test_a_step_that_ends_the_process_is_reported_in_words(project: Project, step: str) -> None:
    file = project.plugin("p.py", f"import sys\n\nasync def {step}():\n    sys.exit('no licence')\n")
    assert failure(project).startswith(f"{step}() of plugin 'p' ({file}:3) failed: it calls sys.exit('no licence')")
