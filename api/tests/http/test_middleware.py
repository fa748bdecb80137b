from __future__ import annotations

import pytest

from opa.errors import GroupError, RegistrationError
from tests.project import Project

MIDDLEWARE = """
class Base:
    def __init__(self, app, name=None):
        self.app, self.name = app, name or type(self).__name__

    async def __call__(self, scope, receive, send):
        scope.setdefault("seen", []).append(self.name)
        await self.app(scope, receive, send)

class First(Base): pass
class Second(Base): pass

class Swallows(Base):
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await self.app(scope, receive, send)

class Answers(Base):
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

class Counts(Base):
    starts = 0
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            Counts.starts += 1
            self.started = True
        else:
            assert self.started
        await self.app(scope, receive, send)
"""

SEEN = """
from fastapi import Request, WebSocket
from opa import get_router

router = get_router()

@router.get("/seen")
def seen(request: Request):
    return request.scope["seen"]

@router.websocket("/ws")
async def ws(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_json(websocket.scope["seen"])
    await websocket.close()
"""


@pytest.fixture
def plugins(project: Project) -> Project:
    project.plugin("mw.py", MIDDLEWARE)
    project.plugin("seen.py", SEEN)
    return project


def test_the_group_and_the_setting_are_one_list_the_first_outermost_before_those_of_plugins(plugins: Project) -> None:
    plugins.plugin(
        "own.py",
        "from starlette.middleware import Middleware\nfrom mw import Base\nmiddleware = [Middleware(Base, name='own')]",
    )
    plugins.settings(
        PLUGINS={"middleware": ["mw.First", {"URI": "mw:Base", "OPTS": {"name": "with opts"}}]},
        MIDDLEWARE=["mw.Second"],
    )
    with plugins.client() as client:
        assert client.get("/seen").json() == ["First", "with opts", "Second", "own"]
        with client.websocket_connect("/ws") as websocket:
            assert websocket.receive_json() == ["First", "with opts", "Second", "own"]


def test_the_instance_that_has_seen_the_lifespan_serves_the_requests(plugins: Project) -> None:
    plugins.settings(MIDDLEWARE=["mw.Counts", "mw.First"])
    with plugins.client() as client:
        assert client.get("/seen").json() == ["First"]


def test_two_hundred_middlewares_work(plugins: Project) -> None:
    plugins.plugin("many.py", "from mw import Base\n" + "".join(f"class M{n}(Base): pass\n" for n in range(200)))
    plugins.settings(MIDDLEWARE=[f"many.M{n}" for n in range(200)])
    with plugins.client() as client:
        assert client.get("/seen").json() == [f"M{n}" for n in range(200)]


def test_a_bad_path_stops_the_start_with_the_path_in_the_message(plugins: Project) -> None:
    plugins.settings(MIDDLEWARE=["mw.Frist"])
    with pytest.raises(GroupError, match=r"'mw.Frist': module 'mw' has no attribute 'Frist', did you mean 'First'"):
        plugins.prepare()


def test_a_middleware_that_is_no_class_stops_the_start(plugins: Project) -> None:
    plugins.plugin("number.py", "value = 3")
    plugins.settings(MIDDLEWARE=["number.value"])
    with pytest.raises(GroupError, match="'number.value' in the group middleware is an int"):
        plugins.app()


def test_a_class_that_takes_no_application_stops_the_start_and_is_named(plugins: Project) -> None:
    plugins.plugin("limits.py", "class Limit:\n    def __init__(self): pass")
    plugins.settings(MIDDLEWARE=["limits.Limit"])
    with pytest.raises(
        GroupError, match="'limits.Limit' in the group middleware cannot be called with the appl.*too many"
    ):
        plugins.app()


def test_opts_that_a_class_does_not_take_stop_the_start(plugins: Project) -> None:
    plugins.settings(MIDDLEWARE=[{"URI": "mw.First", "OPTS": {"nmae": "x"}}])
    with pytest.raises(GroupError, match="'mw.First' .* the application and its OPTS: .*'nmae'"):
        plugins.app()


@pytest.mark.parametrize("name", ["Swallows", "Answers"])
def test_middleware_that_swallows_the_lifespan_is_named_and_stops_the_start(plugins: Project, name: str) -> None:
    plugins.settings(MIDDLEWARE=["mw.First", f"mw.{name}", "mw.Second"])
    with pytest.raises(RegistrationError) as caught, plugins.client():
        pass
    assert f"middleware 'mw.{name}' ({plugins.plugins}/mw.py) does not pass the lifespan on" in str(caught.value)


def test_middleware_that_raises_while_the_application_starts_stops_the_start(plugins: Project) -> None:
    plugins.plugin(
        "bad.py",
        """
        from mw import Base

        class Bad(Base):
            async def __call__(self, scope, receive, send):
                raise ValueError("no")
        """,
    )
    plugins.settings(MIDDLEWARE=["bad.Bad"])
    with pytest.raises(ValueError, match="no"), plugins.client():
        pass


REGISTERED = """
from opa import register
from mw import Base

@register("middleware")
class Registered(Base): pass
"""


def test_middleware_that_a_plugin_registers_comes_behind_that_of_the_settings(plugins: Project) -> None:
    plugins.plugin("registering.py", REGISTERED)
    plugins.settings(MIDDLEWARE=["mw.First"])
    with plugins.client() as client:
        assert client.get("/seen").json() == ["First", "Registered"]


@pytest.mark.parametrize("breaks", ["def ready(): raise ValueError", "register('middleware')(Limit)"])
def test_middleware_that_a_plugin_has_registered_goes_with_it_when_it_is_skipped(plugins: Project, breaks: str) -> None:
    plugins.plugin("registering.py", f"{REGISTERED}\nclass Limit:\n    def __init__(self): pass\n{breaks}")
    plugins.settings(MIDDLEWARE=["mw.First"], PLUGIN_FAILURE="skip")
    with plugins.client() as client:
        assert client.get("/seen").json() == ["First"]
        assert "registering" in client.app.manager.roster.skipped  # type: ignore[attr-defined]


IN_A_LIBRARY = """
from opa import register
from starlette.middleware.gzip import GZipMiddleware

register("middleware", uri="zip")(GZipMiddleware)
register("things", uri="size")(7)
register("things", uri="dumps")(__import__("json").dumps)
"""


def test_what_a_plugin_registers_of_a_library_is_there_and_belongs_to_the_plugin(plugins: Project) -> None:
    plugins.plugin("registering.py", IN_A_LIBRARY)
    with plugins.client() as client:
        assert "GZipMiddleware" in [item.cls.__name__ for item in client.app.user_middleware]  # type: ignore[attr-defined]
        assert {"size", "dumps"} == set(client.app.manager.groups.get("things"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("breaks", ["middleware = [1]", "register('middleware')(3)", "def ready(): raise ValueError"])
def test_what_a_plugin_registers_of_a_library_goes_with_it_when_it_is_skipped(plugins: Project, breaks: str) -> None:
    plugins.plugin("registering.py", f"{IN_A_LIBRARY}\n{breaks}\n")
    plugins.settings(MIDDLEWARE=["mw.First"], PLUGIN_FAILURE="skip")
    with plugins.client() as client:
        assert client.get("/seen").json() == ["First"]
        assert "registering" in client.app.manager.roster.skipped  # type: ignore[attr-defined]
        assert not client.app.manager.groups.get("things")  # type: ignore[attr-defined]


BAD = """
class Bad:
    def __init__(self, app, key=None):
        self.key = open(key).read()
    async def __call__(self, scope, receive, send): ...
"""


def failure_of(project: Project) -> RegistrationError:
    with pytest.raises(RegistrationError) as caught, project.client():
        pass
    assert caught.value.__cause__ is not None
    return caught.value


@pytest.mark.parametrize(
    "adding",
    [
        "from starlette.middleware import Middleware\nmiddleware = [Middleware(Bad, key='/no/licence')]",
        "from opa import register\nregister('middleware')(Bad)",
        "def ready(app): app.add_middleware(Bad, key='/no/licence')",
    ],
)
def test_middleware_that_cannot_be_made_is_reported_with_its_plugin_and_line(project: Project, adding: str) -> None:
    file = project.plugin("shop.py", BAD.replace("key=None", "key='/no/licence'") + adding)
    error = failure_of(project)
    assert str(error).startswith("middleware 'shop.Bad' of plugin 'shop' cannot be made: FileNotFoundError")
    assert f"({file}:4)" in str(error)
    assert error.plugin == "shop"


def test_middleware_of_the_settings_that_cannot_be_made_is_reported_with_its_plugin(project: Project) -> None:
    file = project.plugin("shop.py", BAD)
    project.settings(MIDDLEWARE=[{"URI": "shop.Bad", "OPTS": {"key": "/no/licence"}}])
    error = failure_of(project)
    assert error.plugin == "shop"
    assert f"{file}:4" in str(error)


def test_middleware_of_a_library_with_a_wrong_option_is_reported_with_the_plugin_that_has_it(project: Project) -> None:
    file = project.plugin(
        "shop.py",
        "from starlette.middleware import Middleware\nfrom starlette.middleware.gzip import GZipMiddleware\n"
        "middleware = [Middleware(GZipMiddleware, minimum='x', sise=3)]",
    )
    error = failure_of(project)
    assert "'starlette.middleware.gzip.GZipMiddleware' of plugin 'shop' cannot be made: TypeError" in str(error)
    assert f"({file})" in str(error)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("Middleware('shop.Gate')", "middleware 'builtins.str' of plugin 'shop' cannot be made: TypeError"),
        ("Middleware(Gate)", "'shop.Gate' of plugin 'shop' cannot be made: TypeError: missing a required argument"),
        ("Middleware(Gate, key=1, other=2)", "TypeError: got an unexpected keyword argument 'other'"),
        ("Middleware(lambda request, call_next: None)", "TypeError: missing a required argument: 'call_next'"),
    ],
)
def test_middleware_that_does_not_take_its_options_is_reported_before_a_start(
    project: Project, item: str, problem: str
) -> None:
    gate = "class Gate:\n    def __init__(self, app, key): ...\n    async def __call__(self, *event): ...\n"
    project.plugin("shop.py", f"from starlette.middleware import Middleware\n{gate}middleware = [{item}]")
    with pytest.raises(RegistrationError) as caught:
        project.app()
    assert problem in str(caught.value)
    assert caught.value.plugin == "shop"


def test_a_factory_of_middleware_that_gives_nothing_is_reported(project: Project) -> None:
    project.plugin(
        "shop.py",
        "from starlette.middleware import Middleware\ndef gate(app): ...\nmiddleware = [Middleware(gate)]",
    )
    with pytest.raises(
        RegistrationError, match="middleware 'shop.gate' of plugin 'shop' gives a NoneType, which is no"
    ):
        project.app().build_middleware_stack()
