"""The OpenAPI document says who may use a route, and /docs has its button for that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opa.plugins.access_keys.making import new_key
from tests.http.access.badges import BADGES
from tests.plugins.access_sessions.people import use_sessions
from tests.project import Project

SHOP = """
    from typing import Annotated

    from fastapi import APIRouter
    from opa import Actor, Requires, get_router

    router = get_router()
    closed = APIRouter(prefix="/closed", dependencies=[Requires("shop:all")])

    @router.get("/write/{number:int}")
    def write(number: int, actor: Annotated[Actor, Requires("shop:write")]): pass

    @router.get("/known", dependencies=[Requires()])
    def known(): pass

    @router.get("/open")
    def is_open(): pass

    @closed.get("/in", dependencies=[Requires("shop:in")])
    def is_in(): pass

    router.include_router(closed)
"""
OTHER = """
    from opa import get_router
    router = get_router()

    @router.get("/other/{number}")
    def other(number: int): pass
"""


def document(project: Project, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The security of each path, and the security schemes."""
    project.plugin("shop.py", SHOP)
    project.plugin("other.py", OTHER)
    project.settings(**settings)
    with project.client() as client:
        found = client.get("/openapi.json").json()
    security = {path: operations["get"].get("security") for path, operations in found["paths"].items()}
    return security, found.get("components", {}).get("securitySchemes", {})


def test_scopes_that_the_code_requires_are_in_the_document(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    security, schemes = document(routed)
    assert security == {
        "/write/{number}": [{"badge": ["shop:write"]}],
        "/known": [{"badge": []}],
        "/open": None,
        "/closed/in": [{"badge": ["shop:all", "shop:in"]}],
        "/other/{number}": None,
    }
    assert schemes == {"badge": {"type": "apiKey", "in": "header", "name": "X-Badge"}}


def test_scopes_that_the_settings_require_are_in_the_document(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    security, schemes = document(routed, ACCESS={"shop": ["shop:use"], "/other": "signed-in", "/open": "open"})
    assert security == {
        "/write/{number}": [{"badge": ["shop:use", "shop:write"]}],
        "/known": [{"badge": ["shop:use"]}],
        "/open": None,
        "/closed/in": [{"badge": ["shop:use", "shop:all", "shop:in"]}],
        "/other/{number}": [{"badge": []}],
    }
    assert list(schemes) == ["badge"]


def test_each_authenticator_is_another_way_in(project: Project) -> None:
    project.plugin("badges.py", BADGES)
    project.plugin(
        "keys.py",
        """
        from fastapi.security import HTTPBearer
        from opa import register

        @register("authenticators")
        class Keys:
            security_scheme = HTTPBearer(auto_error=False)
            async def __call__(self, connection): pass

        @register("authenticators")
        async def without_scheme(connection): pass
        """,
    )
    security, schemes = document(project)
    assert security["/known"] == [{"badge": []}, {"HTTPBearer": []}]
    assert list(schemes) == ["badge", "HTTPBearer"]


RESPONSES = """
    from typing import Annotated

    from opa import Actor, RateLimit, Requires, get_router

    router = get_router()

    @router.get("/closed", dependencies=[Requires("shop:use")])
    def closed(): pass

    @router.get("/own/{number}", dependencies=[Requires()], responses={401: {"description": "who?"}, 403: {}})
    def own(number: int): pass

    @router.get("/limited", dependencies=[Requires(), RateLimit("1/minute")])
    def limited(): pass

    @router.get("/open")
    def is_open(): pass

    @router.get("/by-setting")
    def by_setting(): pass
"""


def responses(project: Project, **settings: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Of each path, and those that several have."""
    project.plugin("shop.py", RESPONSES)
    project.settings(ACCESS={"/by-setting": "signed-in"}, **settings)
    with project.client() as client:
        found = client.get("/openapi.json").json()
    of_paths = {path: operations["get"]["responses"] for path, operations in found["paths"].items()}
    return of_paths, found["components"].get("responses", {})


def test_the_answers_to_who_may_not_use_a_route_are_in_the_document(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    of_paths, shared = responses(routed)
    assert {path: sorted(found) for path, found in of_paths.items()} == {
        "/closed": ["200", "401", "403", "429"],
        "/own/{number}": ["200", "401", "403", "422", "429"],
        "/limited": ["200", "401", "403", "429"],
        "/open": ["200"],
        "/by-setting": ["200", "401", "403", "429"],
    }
    assert of_paths["/closed"]["401"] == {"$ref": "#/components/responses/NotAuthenticated"}
    assert of_paths["/own/{number}"]["401"] == {"description": "who?"}
    assert "$ref" not in of_paths["/own/{number}"]["403"]
    headers = {name: list(found.get("headers", {})) for name, found in shared.items()}
    assert headers == {
        "NotAuthenticated": ["WWW-Authenticate"],
        "NotAllowed": ["WWW-Authenticate"],
        "TooManyRequests": ["Retry-After"],
    }
    for found in shared.values():
        assert found["content"]["application/json"]["schema"]["required"] == ["detail"]


def test_an_answer_that_there_cannot_be_is_not_in_the_document(project: Project) -> None:
    """A 429 where wrong credentials are not limited, and a 503 unless an authenticator may be unavailable."""
    project.plugin("badges.py", BADGES.replace("class Badges:", "class Badges:\n        may_be_unavailable = True\n"))
    of_paths, shared = responses(project, WRONG_ATTEMPTS_PER_ADDRESS=None, WRONG_ATTEMPTS_PER_KEY=None)
    assert sorted(of_paths["/closed"]) == ["200", "401", "403", "503"]
    assert sorted(of_paths["/limited"]) == ["200", "401", "403", "429", "503"]
    assert sorted(shared) == ["NotAllowed", "NotAuthenticated", "Unavailable"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"ACCESS_KEYS": {"bot": new_key("bot", [], None, datetime.now(UTC))[0].as_mapping()}}, False),
        ({"JWT_ISSUERS": [{"issuer": "https://issuer.example", "audience": "shop"}]}, True),
        (
            {"JWT_ISSUERS": [{"issuer": "us", "audience": "shop", "secret": "an example of a secret, of 32 bytes"}]},
            False,
        ),
    ],
)
def test_a_503_is_documented_where_an_authenticator_needs_a_store(
    project: Project, settings: dict[str, Any], expected: bool
) -> None:
    assert ("503" in responses(project, **settings)[0]["/closed"]) is expected


def test_keys_and_sessions_in_redis_may_be_unavailable(project: Project, redis_url: str) -> None:
    use_sessions(project, redis_url)
    assert "503" in responses(project)[0]["/closed"]


def test_the_document_stays_as_it_is_where_nothing_can_sign_in(routed: Project) -> None:
    security, schemes = document(routed)
    assert set(security.values()) == {None}
    assert schemes == {}


def test_the_document_stays_as_it_is_where_nothing_requires_an_actor(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    routed.plugin("other.py", OTHER)
    with routed.client() as client:
        assert "securitySchemes" not in client.get("/openapi.json").text
