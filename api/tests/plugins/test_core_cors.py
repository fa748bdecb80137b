from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.project import Project

ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}


def allowed(client: TestClient, origin: str = ORIGIN) -> str | None:
    answer = client.get("/healthz", headers={"Origin": origin})
    assert answer.status_code == 200
    value: str | None = answer.headers.get("access-control-allow-origin")
    return value


def test_no_other_site_may_call_it_by_default(project: Project) -> None:
    with project.client() as client:
        assert allowed(client) is None
        assert client.options("/healthz", headers=PREFLIGHT).status_code == 405


def test_a_site_that_is_named_may_and_others_may_not(project: Project) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN])
    with project.client() as client:
        assert allowed(client) == ORIGIN
        assert allowed(client, "https://evil.example.com") is None
        assert client.options("/healthz", headers=PREFLIGHT).status_code == 200


@pytest.mark.parametrize("credentials", [True, False])
def test_credentials_are_allowed_only_when_they_are_set(project: Project, credentials: bool) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN], ALLOW_CREDENTIALS=credentials)
    with project.client() as client:
        answer = client.get("/healthz", headers={"Origin": ORIGIN})
        assert ("access-control-allow-credentials" in answer.headers) is credentials


def test_methods_and_headers_are_those_of_the_settings(project: Project) -> None:
    project.settings(ALLOW_ORIGINS=[ORIGIN], ALLOW_METHODS=["GET"], ALLOW_HEADERS=["X-Mine"])
    with project.client() as client:
        fine = PREFLIGHT | {"Access-Control-Request-Headers": "x-mine"}
        assert client.options("/healthz", headers=fine).status_code == 200
        for wrong in ({"Access-Control-Request-Method": "PUT"}, {"Access-Control-Request-Headers": "x-other"}):
            assert client.options("/healthz", headers=PREFLIGHT | wrong).status_code == 400
