"""Plugins in the shapes of OpenViper's page on plugins: only the line that imports from the framework is ours."""

from __future__ import annotations

import sys

import pytest

from opa.errors import LifecycleError
from tests.project import Project
from tests.samples.page import Page

PAGE = Page(
    "Where to define ready()",
    "Sync ready() is also supported",
    "Registering the plugin",
    "Error handling",
    "Middleware-based plugins",
    "Combining ready() with middleware",
    "INSTALLED_APPS auto-discovery",
    "Full plugin example",
)

PAGE.counterpart("Registering the plugin", "a settings class", "`INSTALLED_APPS`", "the order of the apps")
PAGE.counterpart("Error handling", "`RuntimeError: ready()", "an app that cannot be imported")
PAGE.counterpart("Middleware-based plugins", "a settings class", "`MIDDLEWARE`", "`SecurityMiddleware`")
PAGE.counterpart("INSTALLED_APPS auto-discovery", "`static/`", "`migrations/`", "`admin.py`")
PAGE.counterpart("Full plugin example", "a settings class")

STATION = """
class Station:
    def __init__(self, url):
        self.url = url

    @classmethod
    async def open(cls, url="https://default.example"):
        return cls(url)
"""

SHOWS_THE_SCOPE = """
from fastapi import Request
from opa import get_router

router = get_router()

@router.get("/scope/{key}")
def scope(request: Request, key: str):
    return getattr(request.scope.get(key), "url", None)
"""


@pytest.mark.parametrize("heading", PAGE.headings)
def test_every_sample_of_the_page_has_its_equal(heading: str) -> None:
    PAGE.check(heading)


@PAGE.sample("Where to define ready()")
def test_an_asynchronous_ready_at_the_top_of_the_package(project: Project) -> None:
    project.plugin(
        "weather/__init__.py",
        """
        import asyncio

        done = []

        async def step(name):
            await asyncio.sleep(0)
            done.append(name)

        async def ready() -> None:
            for name in ("open", "measure"):
                await step(name)
        """,
    )
    with project.client():
        assert sys.modules["weather"].done == ["open", "measure"]


APPS = """
import weather

async def listen():
    weather.done.append("listens")

async def ready() -> None:
    await listen()
"""


@PAGE.sample("Where to define ready()")
def test_ready_in_the_submodule_apps(project: Project) -> None:
    project.plugin("weather/__init__.py", "done = []")
    project.plugin("weather/apps.py", APPS)
    with project.client():
        assert sys.modules["weather"].done == ["listens"]


@PAGE.sample("Where to define ready()")
def test_of_two_the_one_at_the_top_of_the_package_counts(project: Project) -> None:
    project.plugin("weather/__init__.py", "done = []\nasync def ready() -> None:\n    done.append('top')")
    project.plugin("weather/apps.py", APPS)
    with project.client():
        assert sys.modules["weather"].done == ["top"]


@PAGE.sample("Sync ready() is also supported")
def test_a_synchronous_ready_is_called(project: Project) -> None:
    project.plugin(
        "weather/__init__.py",
        """
        units = {}

        def add_unit(name, factor):
            units[name] = factor

        def ready() -> None:
            add_unit("kelvin", 1)
            add_unit("rankine", 1.8)
        """,
    )
    with project.client():
        assert sys.modules["weather"].units == {"kelvin": 1, "rankine": 1.8}


@PAGE.sample("Registering the plugin")
def test_installed_packages_are_named_in_the_settings_and_get_ready_once_in_that_order(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("called.py", "names = []")
    for name in ("zebra", "ant"):
        text = f"from called import names\nasync def ready() -> None:\n    names.append('{name}')"
        project.plugin(f"{name}/__init__.py", text, folder="site")
    monkeypatch.syspath_prepend(str(project.folder / "site"))
    project.settings(INSTALLED_PLUGINS=["zebra", "ant", {"NAME": "not_there", "OPTIONAL": True}])
    with project.client():
        assert sys.modules["called"].names == ["zebra", "ant"]


@PAGE.sample("Error handling")
def test_a_ready_that_raises_stops_the_start_and_is_named(project: Project) -> None:
    project.plugin("weather/__init__.py", "async def ready() -> None:\n    raise ConnectionError('nobody there')")
    words = r"ready\(\) of plugin 'weather' \(.*/weather/__init__.py:1\) raised ConnectionError: nobody there"
    with pytest.raises(LifecycleError, match=words), project.client():
        pass


@PAGE.sample("Middleware-based plugins")
def test_a_middleware_class_that_passes_other_scopes_on(project: Project) -> None:
    project.plugin("weather/__init__.py")
    project.plugin(
        "weather/middleware.py",
        """
        from opa import BaseMiddleware

        seen = []

        class Observer(BaseMiddleware):
            async def __call__(self, scope, receive, send) -> None:
                kind = scope["type"]
                if kind == "http":
                    seen.append(scope["path"])
                return await self.app(scope, receive, send)
        """,
    )
    project.plugin("show.py", SHOWS_THE_SCOPE)
    project.settings(MIDDLEWARE=["weather.middleware.Observer"])
    with project.client() as client:
        assert client.get("/scope/type").status_code == 200
        assert sys.modules["weather.middleware"].seen == ["/scope/type"]


@PAGE.sample("Combining ready() with middleware")
def test_middleware_uses_at_request_time_what_ready_has_made(project: Project) -> None:
    project.plugin(
        "weather/__init__.py",
        """
        from weather.tower import Station

        station: Station | None = None

        async def ready() -> None:
            global station
            station = await Station.open()

        def the_station() -> Station:
            assert station is not None, "ready() has not run"
            return station
        """,
    )
    project.plugin("weather/tower.py", STATION)
    project.plugin(
        "weather/middleware.py",
        """
        from opa import BaseMiddleware
        from weather import the_station

        class Observer(BaseMiddleware):
            async def __call__(self, scope, receive, send) -> None:
                http = scope["type"] == "http"
                await self.app({**scope, "station": the_station()} if http else scope, receive, send)
        """,
    )
    project.plugin("show.py", SHOWS_THE_SCOPE)
    project.settings(MIDDLEWARE=["weather.middleware.Observer"])
    with project.client() as client:
        assert client.get("/scope/station").json() == "https://default.example"


@pytest.mark.parametrize("installed", [False, True], ids=["in a plugin path", "installed"])
@PAGE.sample("Full plugin example")
def test_a_package_with_ready_middleware_an_admin_module_and_a_folder_for_migrations(
    project: Project, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "weather/__init__.py": """
            from __future__ import annotations
            from weather.tower import Station

            station: Station | None = None

            async def ready() -> None:
                global station
                station = await Station.open(url="https://given.example")
            """,
        "weather/tower.py": STATION,
        "weather/apps.py": "",
        "weather/middleware.py": """
            from __future__ import annotations
            import weather
            from opa import BaseMiddleware

            class Observer(BaseMiddleware):
                async def __call__(self, scope, receive, send) -> None:
                    if scope["type"] == "http":
                        scope["station"] = weather.station
                    await self.app(scope, receive, send)
            """,
        "weather/admin.py": "import weather\nweather.has_panels = True",
        "weather/migrations/__init__.py": "raise AssertionError('nobody imports it')",
    }
    for name, text in files.items():
        project.plugin(name, text, folder="site" if installed else "plugins")
    project.plugin("show.py", SHOWS_THE_SCOPE)
    project.settings(MIDDLEWARE=["weather.middleware.Observer"])
    if installed:
        monkeypatch.syspath_prepend(str(project.folder / "site"))
        project.settings(INSTALLED_PLUGINS=["weather"])
    with project.client() as client:
        assert client.get("/scope/station").json() == "https://given.example"
        assert sys.modules["weather"].has_panels
