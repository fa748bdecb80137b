from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from opa.errors import SetupError
from tests.project import Project


def test_a_setup_gets_the_application_and_may_add_a_route(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from opa import Setup

        class Routes(Setup):
            def __init__(self, app):
                app.get("/added")(lambda: "here")
        """,
    )
    with project.client() as client:
        assert client.get("/added").json() == "here"


def test_a_setup_may_add_middleware(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from opa import Setup

        class Header:
            def __init__(self, app):
                self.app = app
            async def __call__(self, scope, receive, send):
                async def with_header(message):
                    if message["type"] == "http.response.start":
                        message["headers"].append((b"x-added", b"yes"))
                    await send(message)
                await self.app(scope, receive, with_header)

        class Add(Setup):
            def __init__(self, app):
                app.add_middleware(Header)
        """,
    )
    with project.client() as client:
        assert client.get("/nothing").headers["x-added"] == "yes"


def test_a_setup_gets_what_it_names(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from opa import Setup, config as settings

        class Keep(Setup):
            def __init__(self, pm, plugin_manager, config, other="default"):
                self.same = pm is plugin_manager and config.PROJECT_NAME == settings.PROJECT_NAME
                self.other = other
        """,
    )
    app = project.app()
    with TestClient(app):
        kept = app.manager.status["a.Keep"]["init"]
    assert (kept.same, kept.other) == (True, "default")


@pytest.mark.parametrize("thing", ["thing: Annotated[str, Component('THING')]", "thing: str = Component('THING')"])
def test_a_setup_gets_a_component_that_a_parameter_names(project: Project, thing: str) -> None:
    project.plugin(
        "a.py",
        f"""
        from typing import Annotated
        from opa import Component, Driver, Setup

        class Fake(Driver):
            name = "fake"
            def connect(self):
                self.instance = "client"

        class Keep(Setup):
            def __init__(self, {thing}):
                self.thing = thing
        """,
    )
    project.component("THING", "fake")
    app = project.app()
    with TestClient(app):
        assert app.manager.status["a.Keep"]["init"].thing == "client"


@pytest.mark.parametrize("method", ["async def __init__(self, app)", "def run(self, app)", "async def run(self, app)"])
def test_a_setup_may_be_asynchronous_or_have_a_second_step(project: Project, method: str) -> None:
    project.plugin(
        "a.py",
        f"""
        import asyncio
        from opa import Setup

        class Wait(Setup):
            {method}:
                {"await asyncio.sleep(0)" if "async" in method else "pass"}
                app.get("/waited")(lambda: True)
        """,
    )
    with project.client() as client:
        assert client.get("/waited").json() is True


def test_setups_run_in_load_order_after_the_components_are_connected(project: Project) -> None:
    text = """
        from opa import Setup, get_instance

        class {0}(Setup):
            def __init__(self, pm):
                pm.store.setdefault("order", []).append("{0}" + get_instance("thing"))
        """
    project.plugin("b.py", text.format("B"))
    project.plugin("a.py", text.format("Z") + text.format("A").replace("from opa import Setup, get_instance", ""))
    project.plugin(
        "d.py",
        "from opa import Driver\nclass F(Driver):\n  name='fake'\n  def connect(self): self.instance = '!'",
    )
    project.component("THING", "fake")
    app = project.app()
    with TestClient(app):
        assert app.manager.store["order"] == ["Z!", "A!", "B!"]


def test_an_unknown_parameter_of_a_setup_is_an_error_that_lists_the_known_ones(
    project: Project,
) -> None:
    file = project.plugin("a.py", "from opa import Setup\nclass Ask(Setup):\n  def __init__(self, database): pass")
    with pytest.raises(SetupError) as caught, project.client():
        pass
    error = str(caught.value)
    assert f"setup Ask of plugin 'a' asks for 'database', which is not injectable ({file}:2)" in error
    assert "app, config, plugin_manager, pm" in error


def test_a_setup_that_raises_is_an_error_that_names_it(project: Project) -> None:
    file = project.plugin("a.py", "from opa import Setup\n\nclass Bad(Setup):\n  def __init__(self): 1 / 0")
    with pytest.raises(SetupError) as caught, project.client():
        pass
    assert f"setup Bad of plugin 'a' failed: ZeroDivisionError: division by zero ({file}:3)" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_setup_whose_component_is_not_there_says_which_setup_and_which_component(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from opa import Setup, get_instance

        class Needs(Setup):
            def __init__(self):
                get_instance("walrus")
        """,
    )
    with pytest.raises(SetupError) as caught, project.client():
        pass
    assert "setup Needs of plugin 'a' failed: component 'walrus' is not loaded: LOAD is no" in str(caught.value)
