from __future__ import annotations

from typing import Any

import pytest

from opa.checks.deploy.access import open_routes
from opa.checks.deploy.check import Deployment
from tests.http.access.badges import BADGES
from tests.project import Project

SHOP = """
    from fastapi import Depends, FastAPI
    from fastapi.security import HTTPBearer
    from opa import Requires, Signed, get_router

    router = get_router()

    @router.get("/a")
    def a(): pass

    @router.post("/b/{number:int}")
    def b(number: int): pass

    @router.websocket("/c")
    async def c(websocket): pass

    @router.get("/closed", dependencies=[Requires("x")])
    def closed(): pass

    @router.get("/bearer", dependencies=[Depends(HTTPBearer())])
    def bearer(): pass

    @router.post("/signed", dependencies=[Signed("github", secret="planted")])
    def signed(): pass

    router.mount("/mounted", FastAPI())
"""


def told(project: Project, mode: str = "api", **settings: Any) -> list[str]:
    project.plugin("badges.py", BADGES)
    project.plugin("shop.py", SHOP)
    project.settings(**settings)
    app = project.app()
    return [finding.problem for finding in open_routes(Deployment(app.manager, {"MODE": mode}, app))]


def test_routes_that_nothing_closes_are_named(routed: Project) -> None:
    assert told(routed) == ["everyone who reaches the API may use /a, /b/{number}, /c and 1 more"]


def test_routes_that_the_settings_close_or_name_as_open_are_not_reported(project: Project) -> None:
    assert told(project, ACCESS={"/a": "signed-in", "/b": "open"}) == [
        "everyone who reaches the API may use /c, /mounted/{path}"
    ]
    assert told(project, ACCESS={"shop": "open"}) == []


@pytest.mark.parametrize("settings", [{"ACCESS_DEFAULT": "closed"}, {"ACCESS": {"*": "open"}}])
def test_a_rule_for_everything_is_a_decision(project: Project, settings: dict[str, Any]) -> None:
    assert told(project, **settings) == []


def test_neither_development_nor_a_worker_is_looked_at(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(project, "worker") == []
    monkeypatch.setenv("ENV", "dev")
    assert told(project) == []
