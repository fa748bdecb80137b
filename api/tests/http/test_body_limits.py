"""A body that is too large is refused wherever it is read, and a route may take more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.project import Project

ROUTES = """
    from fastapi import BackgroundTasks, Body, Depends, FastAPI, File, Form, Request
    from pydantic import BaseModel
    from starlette.endpoints import HTTPEndpoint
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route

    from opa import Setup, get_router, limits, state

    router = get_router(prefix="/in")
    sub = FastAPI()


    class Model(BaseModel):
        text: str


    @router.post("/model")
    def model(body: Model) -> int:
        return len(body.text)


    @router.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())


    @router.post("/stream")
    async def stream(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])


    async def read(request: Request) -> int:
        return len(await request.body())


    @router.post("/depends")
    async def depends(size: int = Depends(read)) -> int:
        return size


    @router.post("/form")
    async def form(text: str = Form()) -> int:
        return len(text)


    @router.post("/raw-form")
    async def raw_form(request: Request) -> int:
        async with request.form() as form:
            return len(form["text"])


    @router.post("/background")
    async def background(tasks: BackgroundTasks, body: Model) -> int:
        tasks.add_task(lambda: state.update(done=True))
        return len(body.text)


    @limits(body_bytes=2000)
    @router.post("/more")
    async def more(request: Request) -> int:
        return len(await request.body())


    @router.post("/any")
    @limits(body_bytes=None)
    async def any_(request: Request) -> int:
        return len(await request.body())


    @router.post("/less")
    @limits(body_bytes=5)
    async def less(request: Request) -> int:
        return len(await request.body())


    @sub.post("/body")
    async def sub_body(request: Request) -> int:
        return len(await request.body())


    @sub.post("/more")
    @limits(body_bytes=2000)
    async def sub_more(request: Request) -> int:
        return len(await request.body())


    @limits(body_bytes=2000)
    class Endpoint(HTTPEndpoint):
        async def post(self, request):
            return PlainTextResponse(str(len(await request.body())))


    class Mounts(Setup):
        def __init__(self, app: FastAPI) -> None:
            app.mount("/sub", sub)
            app.mount("/star", Mount("/", routes=[Route("/more", Endpoint)]))
"""


@pytest.fixture
def client(project: Project) -> Iterator[TestClient]:
    project.plugin("routes.py", ROUTES)
    project.settings(MAX_BODY_BYTES=1000, MAX_UPLOAD_BYTES=3000)
    with project.client() as client:
        yield client


@pytest.mark.parametrize("path", ["model", "body", "stream", "depends", "background"])
def test_every_way_to_read_a_body_has_the_limit(client: TestClient, path: str) -> None:
    assert client.post(f"/in/{path}", json={"text": "x" * 900}).status_code == 200
    answer = client.post(f"/in/{path}", json={"text": "x" * 1000})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert answer.json() == {"detail": "the body of the request has more than 1000 bytes"}


@pytest.mark.parametrize("path", ["model", "body", "stream", "depends", "background"])
def test_a_body_whose_length_is_not_told_has_it_too(client: TestClient, path: str) -> None:
    answer = client.post(f"/in/{path}", content=(b"x" * 100 for _ in range(11)), headers={"content-type": "text/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/in/more", "/sub/more", "/star/more"])
def test_a_route_may_take_more(client: TestClient, path: str) -> None:
    assert client.post(path, content=b"x" * 2000).text == "2000"
    assert client.post(path, content=b"x" * 2001).status_code == 413


def test_a_route_may_take_less_or_anything(client: TestClient) -> None:
    assert client.post("/in/less", content=b"x" * 6).status_code == 413
    assert client.post("/in/any", content=b"x" * 100_000).text == "100000"
    assert client.post("/sub/body", content=b"x" * 1001).status_code == 413


def test_a_form_with_files_may_be_larger_where_its_files_go_to_disk(client: TestClient) -> None:
    def status(path: str, size: int) -> int:
        return client.post(path, data={"text": "x" * size}, files={"other": b""}).status_code

    assert status("/in/form", 2000) == 200
    assert status("/in/form", 3000) == 413
    assert status("/in/raw-form", 500) == 200
    for path in ("/in/raw-form", "/in/body", "/in/model"):
        assert status(path, 2000) == 413
    assert client.post("/in/form", data={"text": "x" * 2000}).status_code == 413


def test_two_middlewares_that_run_what_is_behind_them_in_tasks_do_not_hide_the_refusal(project: Project) -> None:
    project.settings(MAX_BODY_BYTES=1000)
    project.plugin("routes.py", ROUTES)
    passing = """
        from starlette.middleware import Middleware
        from starlette.middleware.base import BaseHTTPMiddleware

        class Passing(BaseHTTPMiddleware):
            async def dispatch(self, request, call_next):
                return await call_next(request)

        middleware = [Middleware(Passing), Middleware(Passing)]
    """
    project.plugin("passing.py", passing)
    with project.client() as client:
        answer = client.post("/in/body", content=b"x" * 1001)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_body_that_a_middleware_reads_has_the_limit_of_the_settings(project: Project) -> None:
    project.plugin(
        "reading.py",
        """
        from fastapi import Request
        from starlette.middleware import Middleware

        from opa import get_router, limits

        router = get_router()


        class Reads:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                if scope["type"] == "http":
                    body = await Request(scope, receive).body()
                    parts = [{"type": "http.request", "body": body, "more_body": False}]

                    async def receive():
                        return parts.pop()

                await self.app(scope, receive, send)


        middleware = [Middleware(Reads)]


        @router.post("/more")
        @limits(body_bytes=2000)
        async def more(request: Request) -> int:
            return len(await request.body())
        """,
    )
    project.settings(MAX_BODY_BYTES=1000)
    with project.client() as client:
        assert client.post("/more", content=b"x" * 1000).text == "1000"
        answer = client.post("/more", content=b"x" * 1001)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
        assert answer.json() == {"detail": "the body of the request has more than 1000 bytes"}


def test_reading_on_after_the_refusal_does_not_hide_it(project: Project) -> None:
    project.plugin(
        "reading_on.py",
        """
        from fastapi import Request
        from starlette.middleware import Middleware

        from opa import get_router

        router = get_router()


        class TriesToRead:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                if scope["type"] == "http":
                    try:
                        await Request(scope, receive).body()
                    except Exception:
                        pass
                await self.app(scope, receive, send)


        middleware = [Middleware(TriesToRead)]


        @router.post("/body")
        async def body(request: Request) -> int:
            return len(await request.body())
        """,
    )
    project.settings(MAX_BODY_BYTES=1000)
    with project.client() as client:
        answer = client.post("/body", content=b"x" * 1001)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
        assert answer.json() == {"detail": "the body of the request has more than 1000 bytes"}


def test_a_body_limit_of_null_is_none(project: Project) -> None:
    project.plugin("routes.py", ROUTES)
    project.settings(MAX_BODY_BYTES=None, BODY_TIMEOUT="none")
    with project.client() as client:
        assert client.post("/in/body", content=b"x" * 20_000_000).text == "20000000"
