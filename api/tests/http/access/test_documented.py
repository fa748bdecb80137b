"""The OpenAPI document says who may use a route, and /docs has its button for that."""

from __future__ import annotations

from typing import Any

from tests.http.access.badges import BADGES
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


def test_what_the_code_requires_is_in_the_document(routed: Project) -> None:
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


def test_what_the_settings_require_is_in_the_document(routed: Project) -> None:
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


def test_the_document_stays_as_it_is_where_nothing_can_sign_in(routed: Project) -> None:
    security, schemes = document(routed)
    assert set(security.values()) == {None}
    assert schemes == {}


def test_the_document_stays_as_it_is_where_nothing_requires_an_actor(routed: Project) -> None:
    routed.plugin("badges.py", BADGES)
    routed.plugin("other.py", OTHER)
    with routed.client() as client:
        assert "securitySchemes" not in client.get("/openapi.json").text
