"""Limits in the settings, by plugin and by path."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from opa.errors import SettingsError
from opa.http.rate_limits.rules import Rules
from tests.project import Project

SHOP = """
from fastapi import FastAPI, WebSocket

from opa import RateLimit, get_router

router = get_router()


@router.get("/shop/orders")
@router.get("/search")
@router.get("/search/deep/er")
@router.get("/searching")
async def orders():
    return "orders"


@router.get("/shop/own", dependencies=[RateLimit("5/minute", by="address")])
async def own():
    return "own"


@router.websocket("/shop/ws")
async def ws(websocket: WebSocket):
    await websocket.accept()
    await websocket.close()


inner = FastAPI()
inner.get("/orders")(lambda: "mounted")
router.mount("/mounted", inner)
"""
BLOG = """
from opa import get_router

router = get_router()
router.get("/blog")(lambda: "blog")
router.get("/blog/more")(lambda: "more")
"""


@pytest.fixture
def limited(project: Project) -> Any:
    """An application with these limits."""
    project.plugin("shop.py", SHOP)
    project.plugin("blog.py", BLOG)

    def client(**limits: Any) -> Any:
        project.settings(RATE_LIMITS={key.replace("_", "/"): limit for key, limit in limits.items()})
        return project.client()

    return client


def statuses(client: TestClient, *paths: str) -> list[int]:
    return [client.get(path).status_code for path in paths]


def test_a_path_is_limited_with_all_below_it(limited: Any) -> None:
    with limited(_search="2/minute") as client:
        assert statuses(client, "/search", "/search/deep/er", "/search", "/searching") == [200, 200, 429, 200]


@pytest.mark.parametrize("path", ["/search/", "//search", "/./search", "/x/../search", "/%73earch", "/search/deep"])
def test_a_path_that_is_written_otherwise_has_the_same_limit(path: str) -> None:
    rules = Rules({"/search": {"LIMIT": "1/minute", "BY": "address"}})
    assert [rule.name for rule in rules.for_request(path, set)] == ["RATE_LIMITS./search"]
    assert not rules.for_request("/searching", set)


@pytest.mark.parametrize("path", ["/files/free/../large", "/files/free/%2e%2e/large", "/files/free/..\\large"])
def test_a_path_that_can_be_read_as_an_unlimited_one_is_limited_nevertheless(path: str) -> None:
    for limited in ("/files", "shop", "*"):
        rules = Rules(
            {"/files/free": {"LIMIT": "unlimited", "BY": "actor"}, limited: {"LIMIT": "1/minute", "BY": "address"}}
        )
        found = rules.for_request(path, lambda: {"shop"})
        assert f"RATE_LIMITS.{limited}" in [rule.name for rule in found if rule.rates]


def test_a_plugin_is_limited_with_its_mounts_and_websockets(limited: Any) -> None:
    with limited(shop="2/minute") as client:
        assert statuses(client, "/shop/orders", "/mounted/orders", "/search", "/blog") == [200, 200, 429, 200]
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/shop/ws"):
            pass
        assert refused.value.status_code == 429
        assert "Retry-After" in refused.value.headers


def test_the_star_limits_all_else_and_what_is_not_there(limited: Any) -> None:
    with limited(shop="5/minute", **{"*": "1/minute"}) as client:
        assert statuses(client, "/blog", "/blog/more", "/nowhere", "/shop/orders") == [200, 429, 429, 200]


def test_the_longest_path_beats_a_plugin_and_that_beats_the_star(limited: Any) -> None:
    limits: Any = {"_shop_orders": "3/minute", "_shop": "2/minute", "shop": "1/minute", "*": "1000/minute"}
    with limited(**limits) as client:
        for path, name in (("/shop/orders", 3), ("/shop/own", 2), ("/search", 1), ("/blog", 1000)):
            assert f'"{name}/minute";q={name};w=60' in client.get(path).headers["RateLimit-Policy"]


def test_unlimited_takes_a_wider_limit_away(limited: Any) -> None:
    with limited(_blog="unlimited", **{"*": "1/minute"}) as client:
        assert statuses(client, "/blog", "/blog/more", "/blog") == [200] * 3
        assert "RateLimit" not in client.get("/blog").headers


def test_the_limit_of_the_code_holds_as_well(limited: Any) -> None:
    with limited(shop="3/minute") as client:
        answer = client.get("/shop/own")
        assert answer.headers["RateLimit-Policy"] == '"3/minute";q=3;w=60, "5/minute";q=5;w=60'
        assert statuses(client, "/shop/own", "/shop/own", "/shop/own") == [200, 200, 429]


def test_two_limits_of_one_size_have_names_of_their_own(limited: Any) -> None:
    with limited(shop="5/minute") as client:
        policies = client.get("/shop/own").headers["RateLimit-Policy"]
        assert policies == '"5/minute";q=5;w=60, "5/minute #2";q=5;w=60'


def test_a_limit_by_address_or_by_plugin_counts_so(limited: Any) -> None:
    limits: Any = {"shop": {"limit": "1/minute", "by": "address"}, "*": {"LIMIT": "1/minute", "BY": "Plugin"}}
    with limited(**limits) as client:
        another = TestClient(client.app, client=("192.0.2.7", 1))
        assert [statuses(each, "/search", "/search", "/blog") for each in (client, another)] == [
            [200, 429, 200],
            [200, 429, 429],
        ]


def test_health_and_the_answer_of_a_refusal_are_as_everywhere(limited: Any) -> None:
    with limited(**{"*": "1/minute"}) as client:
        assert statuses(client, "/blog", "/blog", "/healthz", "/readyz") == [200, 429, 200, 200]
        refused = client.get("/blog")
        assert refused.json() == {"detail": "too many requests: 1/minute allowed"}
        assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_without_redis_all_is_503_where_the_setting_says_so(limited: Any, project: Project) -> None:
    project.settings(RATE_LIMITS_WITHOUT_REDIS="refuse")
    with limited(shop="1/minute") as client:
        assert client.get("/search").json() == {"detail": "component 'aioredis' is unavailable"}
        assert statuses(client, "/search", "/blog") == [503, 200]


NO_LIMITS: list[Any] = ["100/minut", "0/minute", "1e9/second", "", None, 100, []]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        *(("shop", limit, "should ") for limit in NO_LIMITS),
        ("shop", {"limit": "0/minute"}, "should allow 1 to"),
        ("shop", {"by": "address"}, "LIMIT: is missing"),
        ("shop", {"limit": "1/minute", "by": "user"}, "should be 'actor', 'address' or 'plugin'"),
        ("shop", {"limit": "1/minute", "per": "user"}, "PER"),
        ("/shop/{name}", "1/minute", "a path has no parameters"),
        ("/shop//x", "1/minute", "segments are empty"),
        ("shup", "1/minute", "there is no plugin 'shup'; 'shop' is meant, perhaps"),
    ],
)
def test_a_wrong_entry_stops_the_start_and_is_named(project: Project, key: str, value: Any, problem: str) -> None:
    project.plugin("shop.py", SHOP)
    project.settings(RATE_LIMITS={key: value})
    with pytest.raises(SettingsError) as error:
        project.app()
    mistakes = "; ".join(error.value.mistakes)
    assert "RATE_LIMITS" in mistakes
    assert problem in mistakes
