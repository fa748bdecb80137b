from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from opa.errors import LifecycleError
from tests.project import Project

LIFE = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI, Request
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.routing import Host, Mount
    from opa import Setup, get_router, state

    state["seen"] = seen = []

    def life(name):
        @asynccontextmanager
        async def run(app):
            seen.append(f"{name} starts")
            try:
                yield {name: name}
            finally:
                seen.append(f"{name} ends")
        return run

    sub = FastAPI(lifespan=life("sub"))

    @sub.get("/state")
    def get_state(request: Request):
        return request.state.sub
"""


def seen(project: Project, text: str) -> list[str]:
    """What the lifespans said in a process of this plugin."""
    from opa import state

    project.plugin("a.py", LIFE + text)
    with project.client():
        pass
    found: list[str] = state["seen"]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "router = get_router()\n    router.mount('/sub', sub)",
        "router = get_router(routes=[Mount('/sub', app=sub, middleware=[Middleware(GZipMiddleware)])])",
        "router = get_router()\n    router.mount('/sub', GZipMiddleware(sub))",
        "router = get_router()\n    router.routes.append(Host('sub.example.com', app=sub))",
        "router = get_router()\n    router.mount('/one', sub)\n    router.mount('/two', sub)",
        "router = get_router(lifespan=sub.router.lifespan_context)\n    router.mount('/sub', sub)",
        "inner = get_router()\n    inner.mount('/sub', sub)\n    router = get_router(prefix='/p')\n"
        "    router.include_router(inner, prefix='/more')",
        # Such a router stays as FastAPI includes it, with its routes inside.
        "inner = get_router()\n    class Mounts(Setup):\n        def __init__(self, app):\n"
        "            app.include_router(inner)\n            inner.mount('/sub', sub)",
        "sub.mount('/again', sub)\n    router = get_router()\n    router.mount('/sub', sub)",
        "class Mounts(Setup):\n        def __init__(self, app):\n            app.mount('/sub', sub)",
    ],
)
def test_a_mounted_application_is_started_and_stopped_once(project: Project, text: str) -> None:
    assert seen(project, f"    {text}\n") == ["sub starts", "sub ends"]


def test_a_lifespan_that_a_plugin_runs_itself_is_not_run_again(project: Project) -> None:
    text = """
    @asynccontextmanager
    async def mine(app):
        async with sub.router.lifespan_context(sub):
            seen.append("mine starts")
            yield

    router = get_router(lifespan=mine)
    router.mount("/sub", sub)
    """
    assert seen(project, text) == ["sub starts", "mine starts", "sub ends"]


def test_a_lifespan_runs_within_that_of_its_plugin_and_of_the_application_that_mounts_it(project: Project) -> None:
    text = """
    sub.mount("/deeper", Starlette(lifespan=life("deeper")))
    router = get_router(lifespan=life("router"))
    router.mount("/sub", sub)

    def startup():
        seen.append("plugin starts")

    def shutdown():
        seen.append("plugin ends")
    """
    assert seen(project, text) == [
        "plugin starts",
        "router starts",
        "sub starts",
        "deeper starts",
        "deeper ends",
        "sub ends",
        "router ends",
        "plugin ends",
    ]


def test_its_state_is_there_and_it_can_be_started_again(project: Project) -> None:
    project.plugin("a.py", f"{LIFE}    router = get_router()\n    router.mount('/sub', sub)\n")
    app = project.app()
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/sub/state").json() == "sub"


def test_handlers_of_events_run_too(project: Project) -> None:
    text = """
    old = FastAPI()
    old.router.on_startup.append(lambda: seen.append("old starts"))
    router = get_router()
    router.mount("/old", old)
    """
    assert seen(project, text) == ["old starts"]


def test_a_failing_lifespan_stops_the_start_and_ends_what_has_started(project: Project) -> None:
    from opa import state

    text = """
    @asynccontextmanager
    async def broken(app):
        raise ValueError("no database")
        yield

    router = get_router()
    router.mount("/sub", sub)
    router.mount("/broken", FastAPI(lifespan=broken))
    """
    project.plugin("a.py", LIFE + text)
    said = r"the lifespan of a mounted application of plugin 'a' raised ValueError: no database \(.*a.py:\d+\)"
    with pytest.raises(LifecycleError, match=said), project.client():
        pass
    assert state["seen"] == ["sub starts", "sub ends"]


BROKEN = """
    import asyncio
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from opa import Setup, get_router

    @asynccontextmanager
    async def life(app):
        {does}
        yield

    {has}
"""


@pytest.mark.parametrize(
    "has",
    [
        "router = get_router()\n    router.mount('/broken', FastAPI(lifespan=life))",
        "class Mounts(Setup):\n        def __init__(self, app):\n"
        "            app.mount('/broken', FastAPI(lifespan=life))",
        "router = get_router(lifespan=life)\n    @router.get('/broken')\n    def broken(): ...",
    ],
)
@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("raise ValueError('no database')", "raised ValueError: no database"),
        ("raise SystemExit(3)", "failed: it calls sys.exit(3)"),
        ("await asyncio.sleep(60)", "takes longer"),
    ],
)
def test_a_plugin_whose_lifespan_fails_or_hangs_is_skipped_with_its_routes(
    project: Project, has: str, does: str, said: str
) -> None:
    project.plugin("a.py", BROKEN.format(does=does, has=has))
    project.plugin("b.py", f"{LIFE}    router = get_router()\n    router.mount('/sub', sub)\n")
    project.settings(PLUGIN_FAILURE="skip", PLUGIN_OPTIONS={"a": {"STARTUP_TIMEOUT": 0.2}})
    app = project.app()
    with TestClient(app) as client:
        assert client.get("/sub/state").json() == "sub"
        assert client.get("/broken").status_code == 404
    error = app.manager.roster.skipped["a"]
    assert said in error.problem
    assert "of plugin 'a'" in error.problem


def test_a_lifespan_that_fails_while_it_ends_is_reported_with_its_plugin_and_line(project: Project) -> None:
    file = project.plugin(
        "shop.py",
        """
        from contextlib import asynccontextmanager
        from opa import get_router

        @asynccontextmanager
        async def life(app):
            yield
            raise ValueError("no")

        router = get_router(lifespan=life)
        """,
    )
    with pytest.raises(LifecycleError) as caught, project.client():
        pass
    assert str(caught.value).startswith(
        "the lifespan of a router of plugin 'shop' raised ValueError: no while it ended"
    )
    assert f"({file}:8)" in str(caught.value)
