"""Which hosts are served, and what a forged `Host` does to redirects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.project import Project

PLUGIN = """
    from fastapi import FastAPI, WebSocket
    from starlette.responses import RedirectResponse
    from opa import get_router, state

    router = get_router()

    @router.get("/hello")
    async def hello():
        state["ran"] = True
        return "hi"

    @router.get("/slash/")
    async def slash():
        return "hi"

    @router.get("/{rest:path}/end")
    async def anything(rest: str):
        return rest

    @router.get("/elsewhere")
    async def elsewhere():
        return RedirectResponse("https://partner.example/slash/")

    @router.websocket("/ws")
    async def ws(websocket: WebSocket):
        state["ran"] = True
        await websocket.accept()
        await websocket.close()

    mounted = FastAPI()

    @mounted.get("/inside/")
    async def inside():
        return "hi"

    router.mount("/mounted", mounted)
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("shop.py", PLUGIN)
    return project


def raw(project: Project, headers: list[tuple[bytes, bytes]], *, version: str = "1.1", path: str = "/hello") -> int:
    """The status of a request with just these headers."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": version,
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(project.app()(scope, receive, send))
    return int(sent[0]["status"])


def test_any_host_is_served_where_none_is_named(shop: Project) -> None:
    with shop.client() as client:
        for host in ("a.example", "A.example:8000", "127.0.0.1", "[::1]:8000", "with_underscore", "a.example."):
            assert client.get("/hello", headers={"Host": host}).status_code == 200


def test_a_host_that_is_none_is_refused(shop: Project) -> None:
    with shop.client() as client:
        for host in ("a b", "user@a", "a/b", "a:b", "a:123456", "", "a,b", "[::1", "\xe4", "a\tb", "a?b"):
            for path in ("/hello", "/healthz"):
                answer = client.get(path, headers={b"Host": host.encode("latin-1")})
                assert (answer.status_code, answer.json()) == (
                    400,
                    {"detail": "the Host header is not a host and port"},
                )


def test_two_hosts_are_refused_even_where_they_are_the_same(shop: Project) -> None:
    assert raw(shop, [(b"host", b"a"), (b"host", b"a")]) == 400


def test_none_is_refused_but_in_a_version_of_http_that_has_none(shop: Project) -> None:
    assert raw(shop, []) == 400
    assert raw(shop, [], version="1.0") == 200
    shop.settings(TRUSTED_HOSTS=["a.example"])
    assert raw(shop, [], version="1.0") == 400
    assert raw(shop, [], version="1.0", path="/healthz") == 200


def test_only_trusted_hosts_are_served(shop: Project) -> None:
    from opa import state

    hosts = {
        "api.example": 200,
        "API.example:8000": 200,
        "api.example.": 200,
        "a.b.shops.example": 200,
        "shops.example": 400,
        "evilshops.example": 400,
        "api.example.evil.example": 400,
        "127.0.0.1": 400,
    }
    shop.settings(TRUSTED_HOSTS=["api.example", "*.shops.example"])
    with shop.client() as client:
        for host, status in hosts.items():
            state.pop("ran", None)
            assert client.get("/hello", headers={"Host": host}).status_code == status, host
            assert state.pop("ran", False) is (status == 200), host
            for path in ("/healthz", "/readyz"):
                assert client.get(path, headers={"Host": host}).status_code == 200


def test_the_health_routes_answer_below_the_prefix_too_whatever_the_host(shop: Project) -> None:
    shop.settings(TRUSTED_HOSTS=["api.example"], OPENAPI_PREFIX="/api/v1")
    with shop.client() as client:
        for path in ("/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz"):
            assert client.get(path, headers={"Host": "127.0.0.1"}).status_code == 200, path
        assert client.get("/api/v1/hello", headers={"Host": "127.0.0.1"}).status_code == 400


def test_other_methods_at_the_paths_of_health_checks_need_a_trusted_host(shop: Project) -> None:
    shop.plugin(
        "all.py",
        """
        from opa import get_router

        router = get_router()

        @router.post("/{path:path}")
        async def take(path: str):
            return path
    """,
    )
    shop.settings(TRUSTED_HOSTS=["api.example"])
    with shop.client() as client:
        for path in ("/healthz", "/readyz"):
            assert client.post(path, headers={"Host": "evil.example"}).status_code == 400
            assert client.post(path, headers={"Host": "api.example"}).status_code == 200
            assert client.head(path, headers={"Host": "evil.example"}).status_code == 200


def test_a_websocket_for_another_host_is_refused(shop: Project) -> None:
    from opa import state

    state.pop("ran", None)
    shop.settings(TRUSTED_HOSTS=["api.example"], HEALTH_URL="/ws")
    with (
        shop.client() as client,
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect("/ws", headers={"Host": "evil.example"}),
    ):
        pass
    assert caught.value.status_code == 400
    assert "ran" not in state


def test_the_redirect_of_a_slash_stays_on_the_host_that_was_asked(shop: Project) -> None:
    locations = {
        "/slash": "/slash/",
        "/slash?a=b%2Fc": "/slash/?a=b%2Fc",
        "/a/end/": "/a/end",
        "//evil.example/end/": "/%2Fevil.example/end",
        "///evil.example/end/": "/%2F/evil.example/end",
        "/%5Cevil.example/end/": "/%5Cevil.example/end",
        "/mounted/inside": "/mounted/inside/",
        "/caf%C3%A9/end/": "/caf%C3%A9/end",
    }
    with shop.client() as client:
        for path, location in locations.items():
            answer = client.request("GET", f"http://forged.example{path}", follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (307, location)


@pytest.mark.parametrize(
    "host",
    [
        "FORGED.example",
        "forged.example:80",
        "forged.example:8080",
        "[::1]:90",
        "forged_example",
    ],
)
def test_the_redirect_of_a_slash_holds_no_host_however_that_is_written(shop: Project, host: str) -> None:
    with shop.client() as client:
        headers = [(b"host", host.encode("latin-1"))]
        answer = client.request("GET", "/slash?a=b", headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/slash/?a=b")


def test_a_redirect_keeps_the_path_under_which_a_proxy_serves_the_application(shop: Project) -> None:
    shop.settings(OPENAPI_PREFIX="/api/v1")
    with shop.client() as client:
        answer = client.get("/api/v1/slash?x=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/api/v1/slash/?x=1")


def test_a_redirect_of_a_plugin_is_as_it_was(shop: Project) -> None:
    with shop.client() as client:
        answer = client.get("/elsewhere", follow_redirects=False)
    assert answer.headers["location"] == "https://partner.example/slash/"


def test_the_document_and_its_pages_do_not_hold_the_host(shop: Project) -> None:
    with shop.client() as client:
        for path in ("/docs", "/redoc", "/openapi.json"):
            answer = client.get(path, headers={"Host": "forged.example"})
            assert answer.status_code == 200
            assert "forged.example" not in answer.text


ORIGIN = "https://shop.example"


def opens(client: TestClient, origin: str | None, **headers: str) -> bool:
    """Whether a page of `origin` may open a websocket; where not, no code of a plugin has run."""
    from opa import state

    state.pop("ran", None)
    given = headers if origin is None else {**headers, "Origin": origin}
    try:
        with client.websocket_connect("/ws", headers=given):
            pass
    except WebSocketDenialResponse as refused:
        assert refused.status_code == 403  # noqa: PT017 - both ends are right
        assert "ran" not in state
        return False
    return bool(state.pop("ran"))


def test_a_page_opens_a_websocket_of_its_own_host_alone(shop: Project) -> None:
    with shop.client() as client:
        for host, origin in (
            ("shop.example", "https://shop.example"),
            ("shop.example", "http://shop.example"),
            ("shop.example:443", "https://shop.example"),
            ("SHOP.example", "https://shop.example"),
            ("localhost:8000", "http://localhost:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
        ):
            assert opens(client, origin, Host=host), (host, origin)
        for host, origin in (
            ("localhost:8000", "http://localhost:3000"),
            ("shop.example", "https://evil.example"),
            ("shop.example", "https://shop.example.evil.example"),
            ("shop.example", "https://evil-shop.example"),
            ("shop.example", "null"),
            ("shop.example", ""),
            ("shop.example", "shop.example"),
            ("shop.example", "https://shop.example@evil.example"),
            ("shop.example", "https://evil.example/shop.example"),
        ):
            assert not opens(client, origin, Host=host), (host, origin)


def test_a_client_without_an_origin_opens_a_websocket(shop: Project) -> None:
    with shop.client() as client:
        assert opens(client, None)


def test_a_page_of_an_allowed_origin_opens_a_websocket(shop: Project) -> None:
    shop.settings(ALLOW_ORIGINS=[ORIGIN])
    with shop.client() as client:
        assert opens(client, ORIGIN, Cookie="session=1")
        assert not opens(client, "https://other.example")


def test_any_page_opens_a_websocket_without_cookies_where_all_origins_are_allowed(shop: Project) -> None:
    shop.settings(ALLOW_ORIGINS=["*"])
    with shop.client() as client:
        assert opens(client, "https://other.example")
        assert not opens(client, "https://other.example", Cookie="session=1")
        assert not opens(client, "https://other.example", Authorization="Basic x")
        assert opens(client, "https://shop.example", Host="shop.example", Cookie="session=1")


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_a_page_of_an_opaque_origin_opens_a_websocket_only_without_cookies(shop: Project, origin: str) -> None:
    shop.settings(ALLOW_ORIGINS=[origin])
    with shop.client() as client:
        assert opens(client, origin)
        assert not opens(client, origin, Cookie="session=1")
        assert not opens(client, origin, Authorization="Basic x")


def test_a_forged_forwarded_host_is_not_believed(shop: Project) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    with shop.client() as client:
        assert not opens(client, "https://evil.example", Host="shop.example", **headers)
