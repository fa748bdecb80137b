"""What `/openapi.json` answers: what FastAPI answers, and what a browser needs to ask for it twice."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.project import Project

HELLO = """
from opa import get_router

router = get_router()


@router.get("/hello")
def hello() -> dict[str, int]:
    return {}
"""
PLAIN = {"accept-encoding": "identity"}


@pytest.fixture
def hello(project: Project) -> Project:
    project.plugin("hello.py", HELLO)
    return project


def fastapis_answer(project: Project, root_path: str, **changes: Any) -> tuple[bytes, str]:
    """The answer of a FastAPI application with the same routes."""
    app = project.app()
    bare = FastAPI(title=app.title, description=app.description, version=app.version)
    bare.router.routes += [route for route, _ in app.routes_with_routers() if getattr(route, "path", "") == "/hello"]
    for name, value in changes.items():
        setattr(bare, name, value)
    with TestClient(bare, root_path=root_path) as client:
        answer = client.get("/openapi.json")
    return answer.content, answer.headers["content-type"]


@pytest.mark.parametrize("root_path", ["", "/api", "/api/"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"servers": [{"url": "https://example.com"}]},
        {"servers": [{"url": "/api"}]},
        {"root_path_in_servers": False},
    ],
    ids=str,
)
def test_the_answer_is_that_of_fastapi(hello: Project, root_path: str, changes: dict[str, Any]) -> None:
    app = hello.app()
    for name, value in changes.items():
        setattr(app, name, value)
    with TestClient(app, root_path=root_path, headers=PLAIN) as client:
        for _ in range(2):
            answer = client.get("/openapi.json")
            assert (answer.content, answer.headers["content-type"]) == fastapis_answer(hello, root_path, **changes)


def test_the_prefix_of_the_settings_is_among_the_servers(hello: Project) -> None:
    hello.settings(OPENAPI_PREFIX="/api/v1")
    with hello.client(headers=PLAIN) as client:
        assert client.get("/openapi.json").content == fastapis_answer(hello, "/api/v1")[0]


def test_each_root_path_has_its_own_however_many_there_are(hello: Project) -> None:
    app = hello.app()
    for number in (*range(40), 0):
        answer = TestClient(app, root_path=f"/{number}").get("/openapi.json")
        assert answer.json()["servers"] == [{"url": f"/{number}"}]


def test_a_client_that_takes_gzip_gets_gzip(hello: Project) -> None:
    with hello.client() as client:
        plain, packed = (
            client.get("/openapi.json", headers={"accept-encoding": value}) for value in ("br", "br, GZip")
        )
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
        assert packed.json() == plain.json()


@pytest.mark.parametrize("refused", ["", "gzip;q=0", "gzip; q=0.000, br", "x-gzip-like", "identity"])
def test_a_client_that_does_not_take_gzip_gets_text(hello: Project, refused: str) -> None:
    with hello.client() as client:
        answer = client.get("/openapi.json", headers={"accept-encoding": refused})
        assert "content-encoding" not in answer.headers
        assert answer.json()["paths"]


@pytest.mark.parametrize("asked", ["{0}", "W/{0}", '"other", W/{0}', "*"])
def test_a_client_that_has_it_already_is_told_so(hello: Project, asked: str) -> None:
    with hello.client() as client:
        first = client.get("/openapi.json")
        asked = asked.format(first.headers["etag"].removeprefix("W/"))
        answer = client.get("/openapi.json", headers={"if-none-match": asked})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == first.headers["etag"]
        assert answer.headers["cache-control"] == first.headers["cache-control"] == "no-cache"


def test_a_client_that_has_another_one_gets_it(hello: Project) -> None:
    with hello.client() as client:
        assert client.get("/openapi.json", headers={"if-none-match": 'W/"other"'}).status_code == 200


def test_a_header_in_several_lines_counts_as_a_whole(hello: Project) -> None:
    with hello.client() as client:
        etag = client.get("/openapi.json").headers["etag"]
        tags = [("if-none-match", '"other"'), ("if-none-match", etag)]
        assert client.get("/openapi.json", headers=tags).status_code == 304
        codings = [("accept-encoding", "br"), ("accept-encoding", "gzip")]
        assert client.get("/openapi.json", headers=codings).headers["content-encoding"] == "gzip"


def test_head_has_the_headers_of_get(hello: Project) -> None:
    with hello.client() as client:
        head, get = client.head("/openapi.json"), client.get("/openapi.json")
        assert head.status_code == 200
        assert head.headers == get.headers


def test_other_methods_are_refused(hello: Project) -> None:
    with hello.client() as client:
        assert client.post("/openapi.json").status_code == 405


def test_a_middleware_that_compresses_does_not_do_it_again(hello: Project) -> None:
    hello.settings(MIDDLEWARE=[{"URI": "starlette.middleware.gzip.GZipMiddleware", "OPTS": {"minimum_size": 1}}])
    with hello.client() as client:
        assert client.get("/openapi.json").json()["paths"]
        with client.stream("GET", "/openapi.json") as answer:
            assert gzip.decompress(b"".join(answer.iter_raw())).startswith(b'{"openapi"')
