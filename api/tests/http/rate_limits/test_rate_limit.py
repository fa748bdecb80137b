"""Limits of routes and routers, as a client meets them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

import opa
from opa import RateLimit
from opa.errors import OpaError, PluginImportError
from tests.project import Project

PACKAGE = Path(opa.__file__).parent
SHOP = """
from typing import Annotated

from fastapi import HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse

from opa import RateLimit, get_router

router = get_router()
shared = get_router(prefix="/shared", dependencies=[RateLimit("2/minute", by="address")])


@router.get("/two", dependencies=[RateLimit("2/minute", by="address")])
async def two():
    return "two"


@router.get("/free")
async def free():
    return "free"


@router.get("/own", dependencies=[RateLimit("1/minute", by="address")])
async def own():
    return PlainTextResponse("own")


@router.get("/wrong", dependencies=[RateLimit("1/minute", by="address")])
async def wrong():
    raise HTTPException(404, "there is none")


@router.get("/several", dependencies=[RateLimit("1/second;1000/day", by="address")])
def several():
    return "several"


@shared.get("/a")
async def a():
    return "a"


@shared.get("/b")
async def b():
    return "b"


router.include_router(shared)


def by_header(request: Request):
    return request.headers.get("X-Team")


async def by_body(request):
    return 5 if "X-Team" in request.headers else None


@router.get("/by/function", dependencies=[RateLimit("1/minute", by=by_header)])
async def by_function():
    return "function"


@router.get("/by/coroutine", dependencies=[RateLimit("1/minute", by=by_body)])
async def by_coroutine():
    return "coroutine"


@router.get("/by/nothing", dependencies=[RateLimit("1/minute", by=lambda request: object())])
async def by_nothing():
    return "nothing"


per_route = RateLimit("1/minute", by="route")
router.get("/by/route/{name}", dependencies=[per_route])(lambda name: name)
router.get("/by/another/{name}", dependencies=[per_route])(lambda name: name)
per_plugin = RateLimit("1/minute", by="plugin")
router.get("/by/plugin/{name}", dependencies=[per_plugin])(lambda name: name)

for name in ("x", "y"):
    router.get(f"/loop/{name}", dependencies=[RateLimit("1/minute", by="address")])(lambda: "loop")
router.get("/named/a", dependencies=[RateLimit("1/minute", by="address", name="named")])(lambda: "a")
router.get("/named/b", dependencies=[RateLimit("1/minute", by="address", name="named")])(lambda: "b")


@router.websocket("/ws", dependencies=[RateLimit("1/minute", by="address")])
async def ws(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()
"""


@pytest.fixture
def client(project: Project) -> Any:
    project.plugin("shop.py", SHOP)
    with project.client() as client:
        yield client


def statuses(client: TestClient, *paths: str, **options: Any) -> list[int]:
    return [client.get(path, **options).status_code for path in paths]


def test_requests_beyond_the_limit_are_answered_429(client: TestClient) -> None:
    assert statuses(client, "/two", "/two") == [200, 200]
    refused = client.get("/two")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] in ("60", "61")
    assert refused.json() == {"detail": "too many requests: 2/minute allowed"}


def test_headers_say_what_is_left(client: TestClient) -> None:
    answer = client.get("/two")
    assert answer.headers["RateLimit-Policy"] == '"2/minute";q=2;w=60'
    assert re.fullmatch('"2/minute";r=1;t=6[01]', answer.headers["RateLimit"])
    client.get("/two")
    assert re.fullmatch('"2/minute";r=0;t=6[01]', client.get("/two").headers["RateLimit"])


def test_headers_stand_in_answers_of_any_kind(client: TestClient) -> None:
    assert '"1/minute"' in client.get("/own").headers["RateLimit"]
    answer = client.get("/wrong")
    assert (answer.status_code, '"1/minute"' in answer.headers["RateLimit"]) == (404, True)


def test_a_route_without_a_limit_has_no_headers(client: TestClient) -> None:
    assert not any(name.startswith("ratelimit") for name in client.get("/free").headers)


def test_of_several_limits_each_holds(client: TestClient) -> None:
    answer = client.get("/several")
    assert answer.headers["RateLimit-Policy"] == '"1/second";q=1;w=1, "1000/day";q=1000;w=86400'
    refused = client.get("/several")
    assert (refused.status_code, refused.headers["Retry-After"] in "12") == (429, True)
    assert '"1000/day";r=999' in refused.headers["RateLimit"]
    assert "1/second allowed" in refused.json()["detail"]


def test_the_routes_of_a_router_share_its_limit(client: TestClient) -> None:
    assert statuses(client, "/shared/a", "/shared/b", "/shared/a", "/shared/b") == [200, 200, 429, 429]


def test_limits_that_are_made_in_one_line_count_apart(client: TestClient) -> None:
    assert statuses(client, "/loop/x", "/loop/y", "/loop/x") == [200, 200, 429]


def test_limits_of_one_name_count_together(client: TestClient) -> None:
    assert statuses(client, "/named/a", "/named/b") == [200, 429]


def test_a_function_says_who_counts_as_one_and_none_is_not_counted(client: TestClient) -> None:
    assert statuses(client, *["/by/function"] * 3) == [200] * 3
    for team in ("red", "blue", "x" * 5000, "\xe6"):
        headers = {"X-Team": team.encode("latin-1")}
        assert statuses(client, *["/by/function"] * 2, headers=headers) == [200, 429]


def test_the_function_may_be_a_coroutine(client: TestClient) -> None:
    assert statuses(client, "/by/coroutine", "/by/coroutine") == [200, 200]
    assert statuses(client, "/by/coroutine", "/by/coroutine", headers={"X-Team": "red"}) == [200, 429]


def test_a_function_that_gives_something_else_is_named(client: TestClient) -> None:
    with pytest.raises(TypeError, match=r"shop\.py:\d+ gives an object for a rate limit"):
        client.get("/by/nothing")


def test_a_limit_by_route_counts_all_callers_and_each_route(client: TestClient) -> None:
    paths = ("/by/route/1", "/by/route/2", "/by/another/1")
    assert statuses(client, *paths) == [200, 429, 200]


def test_a_limit_by_plugin_counts_all_callers(client: TestClient) -> None:
    assert statuses(client, "/by/plugin/1", "/by/plugin/2") == [200, 429]


def client_at(client: TestClient, host: str) -> TestClient:
    return TestClient(client.app, client=(host, 1))


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("192.0.2.1", "192.0.2.1", 429),
        ("192.0.2.1", "192.0.2.2", 200),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", 429),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", 200),
        ("192.0.2.1", "::ffff:192.0.2.1", 429),
        ("fe80::1%eth0", "fe80::2%eth0", 429),
        ("no:address", "no:address", 429),
    ],
)
def test_an_address_of_ipv6_counts_with_its_network(client: TestClient, first: str, second: str, status: int) -> None:
    assert statuses(client_at(client, first), "/own") == [200]
    assert statuses(client_at(client, second), "/own") == [status]


def test_the_handshakes_of_a_websocket_are_counted(client: TestClient) -> None:
    with client.websocket_connect("/ws") as websocket:
        assert websocket.receive_text() == "hello"
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/ws"):
        pass
    answer = refused.value
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] in ("60", "61")
    assert answer.headers["RateLimit"].startswith('"1/minute";r=0;')


BY_ACTOR = """
from opa import Actor, RefusedCredentialError, RateLimit, Requires, get_router, register

router = get_router()


@register("authenticators")
async def badge(connection):
    name = connection.headers.get("X-Badge")
    if name == "bad":
        raise RefusedCredentialError("no such badge")
    return Actor(id=name, kind="badge") if name else None


@router.get("/limited", dependencies=[RateLimit("1/minute")])
async def limited():
    return "limited"
"""


def test_actors_count_by_themselves_and_others_by_their_address(project: Project) -> None:
    project.plugin("badges.py", BY_ACTOR)
    with project.client() as client:
        for badge in ("anna", "ben"):
            assert statuses(client, "/limited", "/limited", headers={"X-Badge": badge}) == [200, 429]
        assert statuses(client, "/limited") == [200]
        assert statuses(client, "/limited", headers={"X-Badge": "bad"}) == [429]
        assert statuses(client_at(client, "192.0.2.1"), "/limited") == [200]


@pytest.mark.parametrize("limit", ["100/minut", "0/minute", "1e9/second", "", None, 100, "5/second;"])
def test_a_limit_that_is_none_is_refused_with_its_place(project: Project, limit: object) -> None:
    project.plugin("shop.py", f"from opa import RateLimit\n\nlimited = RateLimit({limit!r})\n")
    with pytest.raises(PluginImportError, match=r"the limit should .*shop\.py:3"):
        project.app()


def test_a_rate_limit_by_something_unknown_is_refused() -> None:
    by: Any = "user"
    with pytest.raises(OpaError, match="has by='user'.*test_rate_limit.*Name actor, address, plugin, route"):
        RateLimit("1/minute", by=by)


def test_the_document_has_the_answer_of_limited_routes_alone(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "Retry-After" in paths["/two"]["get"]["responses"]["429"]["headers"]
    assert "429" in paths["/shared/a"]["get"]["responses"]
    assert "429" not in paths["/free"]["get"]["responses"]


def test_without_a_limit_nothing_of_limits_is_imported(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "hello.py").write_text("from opa import get_router\n\nrouter = get_router()\n")
    code = (
        "import sys; from opa.main import app; app.build_middleware_stack();"
        " print([name for name in sys.modules if 'rate' in name and name.startswith('opa.')"
        " and not name.startswith('opa.settings.')])"  # which are read in any case
    )
    environ = {"OPA_PLUGIN_PATHS": str(tmp_path / "plugins"), "PYTHONPATH": str(PACKAGE.parent)}
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, check=True)
    assert found.stdout == b"[]\n"
