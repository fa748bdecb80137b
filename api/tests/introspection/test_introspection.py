"""What plugins can learn of the application that they are in, to show it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from opa.introspection import components_of, plugins_of, routes_of, settings_of
from opa.settings.config import Leaf
from tests.project import Project

SHOP = """
    from fastapi import APIRouter, WebSocket
    from opa import PluginSettings, get_router
    from pydantic import SecretStr
    from starlette.applications import Starlette

    class Shop(PluginSettings):
        token: SecretStr = SecretStr("planted")
        title: str = "Shop"

    router = get_router(tags=["shop"])
    inner = APIRouter(prefix="/orders")

    @inner.get("/{number}", summary="One order")
    def order(number: int) -> int:
        return number

    @router.websocket("/live")
    async def live(websocket: WebSocket) -> None: ...

    router.include_router(inner)
    router.mount("/old", Starlette())
"""


@pytest.fixture(params=["indexed", "untested version of FastAPI"])
def shop(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    if request.param != "indexed":
        monkeypatch.setattr("fastapi.__version__", "999.0.0")
    project.plugin("shop.py", SHOP)
    project.meta("shop-meta.json", {"version": "1.2", "description": "Sells things"})
    return project


def test_a_route_says_its_plugin_and_where_its_function_is(shop: Project) -> None:
    routes = {route.path: route for route in routes_of(shop.app())}

    order, live = routes["/orders/{number}"], routes["/live"]
    assert (order.methods, order.kind, order.plugins, order.built_in) == (("GET",), "http", ("shop",), False)
    assert (order.summary, order.in_schema) == ("One order", True)
    assert order.where.startswith(f"{shop.plugins / 'shop.py'}:")
    assert (live.methods, live.kind, live.plugins) == ((), "websocket", ("shop",))
    assert (routes["/old"].kind, routes["/old"].plugins) == ("mount", ("shop",))
    assert (routes["/healthz"].built_in, routes["/healthz"].in_schema) == (True, False)
    assert routes["/openapi.json"].plugins == ()


def test_a_plugin_says_its_version_and_what_it_provides(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.meta("shop-meta.json", {"version": "1.2", "description": "Sells things"})
    project.plugin("broken.py", "raise ValueError('no')")
    project.settings(PLUGIN_FAILURE="skip")

    plugins = {plugin.name: plugin for plugin in plugins_of(project.prepare())}

    shop, broken = plugins["shop"], plugins["broken"]
    assert (shop.version, shop.description, shop.status, shop.built_in) == ("1.2", "Sells things", "loaded", False)
    assert shop.provides == ["settings Shop", "websocket /live", "GET /orders/{number}", "mount /old"]
    assert shop.settings == ["title", "token"]
    assert (broken.status, broken.provides) == ("broken", [])
    assert "ValueError: no" in broken.reasons[0]


def test_settings_are_shown_without_secrets(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.settings(PLUGIN_SETTINGS={"shop": {"token": "planted", "title": "Mine"}}, SECRET_KEY="planted-too")

    settings = {setting.name: setting for setting in settings_of(project.prepare())}

    assert settings["PLUGIN_SETTINGS.shop.title"] == Leaf(
        "PLUGIN_SETTINGS.shop.title", "Mine", f"{project.folder}/settings/00-test.json [default]"
    )
    assert settings["SECRET_KEY"].value == settings["PLUGIN_SETTINGS.shop.token"].value == "***"
    assert "planted" not in str(list(settings.values()))


def test_a_component_that_does_not_answer_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin(
        "mine.py",
        """
        from opa import Driver

        class Mine(Driver):
            name = "mine"

            def connect(self):
                return object()
        """,
    )
    project.component("store", "mine")
    app = project.app()
    assert components_of(app.manager)[-1].status == "not connected yet"
    with TestClient(app):
        found = components_of(app.manager)[-1]
        assert (found.name, found.driver, found.status, found.reason) == ("store", "mine", "connected", "")
        gone = SimpleNamespace(is_open=True, reason="gone away")
        with monkeypatch.context() as patch:
            patch.setattr(app.manager.optional_components["store"], "breakers", lambda: [gone])
            found = components_of(app.manager)[-1]
        assert (found.status, found.reason) == ("does not answer", "gone away")


def test_the_sources_of_plugins_are_read_once_for_their_commands(project: Project) -> None:
    """A page of the console asks every two seconds."""
    project.plugin("shop.py", "import typer\n\ncommands = typer.Typer()\n")
    project.plugin("till.py", "")
    manager = project.prepare()
    first = {plugin.name: plugin.provides for plugin in plugins_of(manager)}
    assert "command opa shop" in first["shop"]
    project.plugin("shop.py", "")
    project.plugin("till.py", "import typer\n\ncommands = typer.Typer()\n")
    assert {plugin.name: plugin.provides for plugin in plugins_of(manager)} == first
