from __future__ import annotations

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from opa.http.cors import Cors
from tests.project import Project

ORIGIN = "https://app.example.com"
EVIL = "https://evil.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}

ANSWERS = """
    import asyncio
    from fastapi import FastAPI, HTTPException, Request
    from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from opa import ComponentUnavailableError, get_router, register

    router = get_router()

    class Limiter:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] == "http" and scope["path"] == "/refused-by-middleware":
                await PlainTextResponse("slow down", 429)(scope, receive, send)
            elif scope["type"] == "http" and scope["path"] == "/middleware-raises":
                raise ValueError("in the middleware")
            else:
                await self.app(scope, receive, send)

    middleware = [Middleware(Limiter)]

    @register("middleware")
    def processor(request: Request):
        if request.url.path == "/refused-by-processor":
            raise HTTPException(401)
        if request.url.path == "/answered-by-processor":
            return JSONResponse("no", 403)

    @router.get("/fine")
    def fine(): return 1

    @router.get("/boom")
    def boom(): raise ValueError

    @router.get("/redirect")
    def redirect(): return RedirectResponse("/fine")

    @router.get("/number/{n}")
    def number(n: int): return n

    @router.get("/gone")
    def gone(): raise ComponentUnavailableError("gone", component="thing")

    @router.post("/body")
    def body(data: dict): return 1

    @router.get("/exits")
    def exits(): raise SystemExit(3)

    @router.get("/awaits-what-is-cancelled")
    async def awaits():
        task = asyncio.create_task(asyncio.sleep(9))
        task.cancel()
        await task

    @router.get("/stream")
    def stream(): return StreamingResponse(iter("abc"))

    sub = FastAPI()
    sub.get("/in")(lambda: 1)
    sub.get("/boom")(boom)
    router.mount("/sub", sub)
"""


@pytest.fixture
def answering(project: Project) -> Project:
    project.settings(ALLOW_ORIGINS=[ORIGIN, "http://localhost:3000"])
    project.plugin("answers.py", ANSWERS)
    return project


def is_allowed(answer: Response, origin: str = ORIGIN) -> bool:
    found: list[str] = answer.headers.get_list("access-control-allow-origin")
    assert len(found) < 2
    return found == [origin]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/fine", 200),
        ("/stream", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/docs", 200),
        ("/openapi.json", 200),
        ("/sub/in", 200),
        ("/redirect", 307),
        ("/fine/", 307),
        ("/refused-by-processor", 401),
        ("/answered-by-processor", 403),
        ("/nowhere", 404),
        ("/sub/nowhere", 404),
        ("/body", 405),
        ("/number/x", 422),
        ("/refused-by-middleware", 429),
        ("/boom", 500),
        ("/sub/boom", 500),
        ("/middleware-raises", 500),
        ("/gone", 503),
        ("/exits", 500),
        ("/awaits-what-is-cancelled", 500),
    ],
)
def test_every_answer_can_be_read_by_the_page(answering: Project, path: str, status: int) -> None:
    with answering.client(raise_server_exceptions=False, follow_redirects=False) as client:
        answer = client.get(path, headers={"Origin": ORIGIN})
        assert answer.status_code == status
        assert is_allowed(answer)
        assert answer.headers["vary"].endswith("Origin")
        assert "access-control-allow-origin" not in client.get(path, headers={"Origin": EVIL}).headers


def test_a_page_can_read_the_refusal_of_a_body_or_a_host(answering: Project) -> None:
    answering.settings(MAX_BODY_BYTES=100, TRUSTED_HOSTS=["testserver"])
    with answering.client() as client:
        assert is_allowed(client.post("/body", json={"a": "x" * 200}, headers={"Origin": ORIGIN}))
        answer = client.get("/fine", headers={"Origin": ORIGIN, "Host": "other"})
        assert answer.status_code == 400
        assert is_allowed(answer)


@pytest.mark.parametrize("path", ["/fine", "/nowhere", "/refused-by-processor", "/refused-by-middleware", "/sub/in"])
def test_a_preflight_is_answered_before_anything_of_a_plugin_runs(answering: Project, path: str) -> None:
    with answering.client() as client:
        answer = client.options(path, headers=PREFLIGHT)
        assert answer.status_code == 200
        assert is_allowed(answer)
        assert client.options(path, headers=PREFLIGHT | {"Origin": EVIL}).status_code == 400


def test_other_requests_with_options_are_the_plugins(project: Project) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN])
    project.plugin("mine.py", "from opa import get_router\nrouter = get_router()\nrouter.options('/x')(lambda: 'mine')")
    with project.client() as client:
        assert client.options("/x").json() == "mine"
        assert client.options("/x", headers={"Origin": ORIGIN}).json() == "mine"
        assert client.options("/x", headers=PREFLIGHT).text == "OK"


def test_a_cache_is_told_that_answers_depend_on_the_origin(answering: Project) -> None:
    with answering.client() as client:
        assert client.get("/fine").headers["vary"] == "Origin"
        assert client.get("/fine", headers={"Origin": EVIL}).headers["vary"] == "Origin"
    answering.settings(ALLOW_ORIGINS=["*"])
    with answering.client() as client:
        assert "vary" not in client.get("/fine", headers={"Origin": EVIL}).headers


@pytest.mark.parametrize(
    ("vary", "expected"), [("Accept", "Accept, Origin"), ("accept, origin", "accept, origin"), ("*", "*")]
)
def test_the_vary_header_of_a_route_stays(project: Project, vary: str, expected: str) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN])
    project.plugin(
        "mine.py",
        f"""
        from fastapi import Response
        from opa import get_router
        router = get_router()

        @router.get("/x")
        def x(response: Response):
            response.headers["vary"] = {vary!r}
        """,
    )
    with project.client() as client:
        assert client.get("/x", headers={"Origin": ORIGIN}).headers["vary"] == expected


def test_the_headers_of_a_plugins_own_cors_do_not_stand_twice(project: Project) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN])
    project.plugin(
        "mine.py",
        """
        from starlette.middleware import Middleware
        from starlette.middleware.cors import CORSMiddleware
        middleware = [Middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)]
        """,
    )
    with project.client() as client:
        answer = client.get("/healthz", headers={"Origin": ORIGIN})
        assert is_allowed(answer)
        answer = client.get("/nowhere", headers={"Origin": ORIGIN})
        assert is_allowed(answer)
        assert "access-control-allow-credentials" not in answer.headers
        # What the plugin allows to others stays its own.
        assert is_allowed(client.get("/nowhere", headers={"Origin": EVIL}), EVIL)


def test_no_other_site_may_call_it_by_default(project: Project) -> None:
    with project.client() as client:
        answer = client.get("/healthz", headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in answer.headers
        assert "vary" not in answer.headers
        assert client.options("/healthz", headers=PREFLIGHT).status_code == 405


@pytest.mark.parametrize("credentials", [True, False])
def test_credentials_are_allowed_only_when_they_are_set(project: Project, credentials: bool) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN], ALLOW_CREDENTIALS=credentials)
    with project.client() as client:
        answer = client.get("/healthz", headers={"Origin": ORIGIN})
        assert ("access-control-allow-credentials" in answer.headers) is credentials


def test_a_page_can_read_the_id_of_its_request(answering: Project) -> None:
    answering.settings(REQUEST_ID=True)
    with answering.client(raise_server_exceptions=False) as client:
        for path in ("/fine", "/boom"):
            answer = client.get(path, headers={"Origin": ORIGIN})
            assert answer.headers["access-control-expose-headers"] == "x-request-id"
            assert "x-request-id" in answer.headers


def test_methods_and_headers_are_those_of_the_settings(project: Project) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN], ALLOW_METHODS=["GET"], ALLOW_HEADERS=["X-Mine"])
    with project.client() as client:
        fine = PREFLIGHT | {"Access-Control-Request-Headers": "x-mine"}
        assert client.options("/healthz", headers=fine).status_code == 200
        for wrong in ({"Access-Control-Request-Method": "PUT"}, {"Access-Control-Request-Headers": "x-other"}):
            assert client.options("/healthz", headers=PREFLIGHT | wrong).status_code == 400


def test_a_websocket_gets_no_headers_of_it(project: Project) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN])
    project.plugin(
        "mine.py",
        """
        from fastapi import WebSocket
        from opa import get_router
        router = get_router()

        @router.websocket("/ws")
        async def ws(websocket: WebSocket):
            await websocket.accept()
            await websocket.close()
        """,
    )
    with TestClient(project.app()) as client, client.websocket_connect("/ws", headers={"Origin": ORIGIN}) as websocket:
        headers: list[tuple[bytes, bytes]] = websocket.extra_headers or []
        assert not [name for name, _ in headers if name.startswith(b"access-control")]


def test_there_is_nothing_to_do_without_origins(project: Project) -> None:
    assert Cors.from_config(project.config()) is None


def test_a_plugin_may_let_in_pages_that_the_settings_do_not_name(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from starlette.middleware import Middleware
        from starlette.middleware.cors import CORSMiddleware
        from opa import get_router

        router = get_router()
        middleware = [Middleware(CORSMiddleware, allow_origins=["https://partner.example"], allow_methods=["PUT"])]

        @router.put("/fine")
        def fine(): return 1
        """,
    )
    project.settings(ALLOW_ORIGINS=[ORIGIN])
    with project.client() as client:
        asked = {
            origin: client.options(
                "/fine", headers={**PREFLIGHT, "Access-Control-Request-Method": "PUT", "Origin": origin}
            )
            for origin in ("https://partner.example", ORIGIN, EVIL)
        }
        answer = client.put("/fine", headers={"Origin": "https://partner.example"})
    assert {origin: found.status_code for origin, found in asked.items()} == {
        "https://partner.example": 200,
        ORIGIN: 200,
        EVIL: 400,
    }
    assert asked["https://partner.example"].headers["access-control-allow-origin"] == "https://partner.example"
    assert "access-control-allow-origin" not in asked[EVIL].headers
    assert answer.headers["access-control-allow-origin"] == "https://partner.example"
