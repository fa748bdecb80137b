from __future__ import annotations

from typing import Any

import pytest

from opa.checks import warn_of_findings
from opa.checks.access import nobody_can_sign_in, paths_without_route, webhooks_that_need_an_actor
from tests.http.access.badges import BADGES
from tests.project import Project

ROUTES = """
    from fastapi import FastAPI
    from opa import get_router

    router = get_router()

    @router.get("/shop/orders/{number}")
    def order(number: int): pass

    @router.get("/pages/{page:path}")
    def page(page: str): pass

    router.mount("/sub", FastAPI())
"""
CLOSED = """
    from opa import Requires, get_router

    router = get_router(dependencies=[Requires()])

    @router.get("/closed")
    def closed(): pass
"""

HOOKS = """
    from opa import Requires, Signed, get_router

    router = get_router()
    signed = Signed("github", secret="known to both")

    @router.post("/hook", dependencies=[signed])
    def hook(): pass

    @router.post("/both", dependencies=[Requires(), signed])
    def both(): pass

    @router.post("/order")
    def order(): pass
"""


def unserved(project: Project, *paths: str) -> list[str]:
    project.plugin("routes.py", ROUTES)
    project.settings(ACCESS=dict.fromkeys(paths, "signed-in"))
    return [finding.problem.split()[5].rstrip(",") for finding in paths_without_route(project.app())]


def test_a_path_of_which_no_route_is_there_or_below_it_is_reported(routed: Project) -> None:
    wrong = ("/shopp", "/shop/orders/7/lines", "/orders", "/of")
    right = ("/", "/shop", "/shop/orders", "/shop/orders/7", "/pages/a/b/c", "/sub/x/y", "/docs", "/openapi.json")
    assert unserved(routed, *wrong, *right) == list(wrong)


def test_files_of_a_frontend_may_be_anywhere(project: Project) -> None:
    project.plugin(
        "files.py",
        f"from opa import get_router\nrouter = get_router()\nrouter.frontend('/', directory='{project.folder}')",
    )
    assert unserved(project, "/of") == []


@pytest.mark.parametrize(
    ("plugin", "settings", "what"),
    [
        (CLOSED, {}, "the route /closed requires an actor"),
        (ROUTES, {"ACCESS_DEFAULT": "closed"}, "the setting ACCESS or ACCESS_DEFAULT requires an actor"),
    ],
)
@pytest.mark.parametrize("env", ["", "dev"])
def test_a_start_tells_once_that_nobody_can_sign_in(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plugin: str,
    settings: Any,
    what: str,
    env: str,
) -> None:
    monkeypatch.setenv("ENV", env)
    project.plugin("plugin.py", plugin)
    project.settings(**settings)
    app = project.app()
    (finding,) = nobody_can_sign_in(app)
    assert finding.problem.startswith(f"{what}, and the group authenticators is empty")
    capsys.readouterr()
    warn_of_findings(app.manager, app)
    assert capsys.readouterr().err.count("the group authenticators is empty") == 1

    project.plugin("badges.py", BADGES)
    assert list(nobody_can_sign_in(project.app())) == []


def test_a_project_that_requires_nobody_is_not_told_that_nobody_can_sign_in(project: Project) -> None:
    project.plugin("routes.py", ROUTES)
    assert list(nobody_can_sign_in(project.app())) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, []),
        ({"ACCESS_DEFAULT": "closed"}, ["/hook"]),
        ({"ACCESS": {"hooks": "signed-in"}}, ["/hook"]),
        ({"ACCESS_DEFAULT": "closed", "ACCESS": {"/hook": "open"}}, []),
        ({"ACCESS": {"/hook": "signed-in"}}, []),
    ],
)
def test_a_webhook_that_the_settings_close_to_its_sender_is_reported(
    project: Project, settings: Any, told: list[str]
) -> None:
    project.plugin("hooks.py", HOOKS)
    project.settings(**settings)
    assert [finding.problem.split()[2] for finding in webhooks_that_need_an_actor(project.app())] == told
