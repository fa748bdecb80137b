"""What answers on the port for operating, in the process of the test; tests/serve/test_operating.py has real ones."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from opa.http.operating import OperatingApp
from tests.project import Project

CATCH_ALL = """
    from opa import get_router

    router = get_router()

    @router.get("/{path:path}")
    def any_path(path: str): return "a plugin's"
"""


def clients(project: Project, **settings: Any) -> tuple[TestClient, TestClient]:
    """What answers on the port for operating, and what on that of the api."""
    project.settings(**{"OPERATING_PORT": 9000, **settings})
    api = project.app()
    return TestClient(OperatingApp(api.manager.config, api.operating_routes)), TestClient(api)


def test_the_operating_routes_answer_on_their_port_alone(project: Project) -> None:
    operating, api = clients(project)

    assert [operating.get(path).status_code for path in ("/healthz", "/docs")] == [200, 404]
    assert operating.get("/readyz").json()["status"] == "not ready", "as on the port of the api before it has started"
    assert operating.head("/healthz").status_code == 200
    assert operating.post("/healthz").status_code == 404
    assert [api.get(path).status_code for path in ("/healthz", "/readyz", "/docs")] == [404, 404, 200]


def test_without_a_port_of_their_own_they_are_on_that_of_the_api(project: Project) -> None:
    operating, api = clients(project, OPERATING_PORT=None)

    assert operating.get("/healthz").status_code == 404
    assert api.get("/healthz").status_code == 200


def test_their_paths_on_the_port_of_the_api_are_free_for_plugins(project: Project) -> None:
    project.plugin("a.py", CATCH_ALL)

    operating, api = clients(project)

    assert operating.get("/healthz").json() == {"status": "ok"}
    assert api.get("/healthz").json() == "a plugin's"


def test_on_the_port_of_the_api_no_path_of_theirs_is_exempt_from_access(project: Project) -> None:
    _, api = clients(project, ACCESS_DEFAULT="closed", TRUSTED_HOSTS=["testserver"])

    assert api.get("/healthz").status_code == 401
    assert api.get("/healthz", headers={"host": "10.0.0.7"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/healthz", "10.0.0.7:9000", 200),
        ("/readyz", "10.0.0.7:9000", 503),
        ("/healthz", "no host", 400),
        ("/other", "10.0.0.7:9000", 400),
        ("/other", "api.example", 404),
    ],
)
def test_trusted_hosts_hold_there_but_for_who_asks_by_the_address(
    project: Project, path: str, host: str, status: int
) -> None:
    operating, _ = clients(project, TRUSTED_HOSTS=["api.example"])

    assert operating.get(path, headers={"host": host}).status_code == status


def test_answers_have_the_headers_of_all_others(project: Project) -> None:
    operating, _ = clients(project)

    for path in ("/healthz", "/nothing"):
        assert operating.get(path).headers["x-content-type-options"] == "nosniff"


def test_a_process_that_stops_is_alive_and_not_ready(project: Project) -> None:
    project.settings(OPERATING_PORT=9000)
    api = project.app()
    app = OperatingApp(api.manager.config, api.operating_routes)
    app.is_stopping = True

    answer = TestClient(app).get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
    assert answer.headers["cache-control"] == "no-store"
    assert TestClient(app).get("/healthz").status_code == 200
