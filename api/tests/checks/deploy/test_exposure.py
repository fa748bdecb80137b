from __future__ import annotations

import pytest

from opa.checks.deploy.cors import cookies_without_tls, open_cors
from opa.checks.deploy.exposure import public_documentation, ready_details
from opa.checks.deploy.hosts import any_host
from opa.checks.deploy.proxy import unknown_proxy
from opa.checks.deploy.turned_off import LIMITS, missing_headers, missing_limits
from tests.checks.deploy.deployments import found
from tests.project import Project


def test_the_documentation_is_reported_with_the_pages_that_are_shown(project: Project) -> None:
    project.settings(REDOC_URL=None)

    (problem,) = found(project, public_documentation)

    assert problem.startswith("DOCS_URL, OPENAPI_URL: ")


def test_no_documentation_is_not_reported(project: Project) -> None:
    project.settings(DOCS_URL=None, REDOC_URL=None, OPENAPI_URL=None)

    assert found(project, public_documentation) == []


def test_documentation_that_the_settings_close_is_not_reported(project: Project) -> None:
    project.settings(ACCESS={"core_docs": "staff", "/redoc": "open"})
    (problem,) = found(project, public_documentation)
    assert problem.startswith("REDOC_URL, OPENAPI_URL: ")

    project.settings(ACCESS={"core_docs": "staff", "/openapi.json": "staff"})
    assert found(project, public_documentation) == []

    project.settings(ACCESS={}, ACCESS_DEFAULT="closed")
    assert found(project, public_documentation) == []


@pytest.mark.parametrize("is_on", [True, False])
def test_reasons_for_everyone_are_reported(project: Project, is_on: bool) -> None:
    project.settings(READY_DETAILS=is_on)

    assert [each.startswith("READY_DETAILS is on") for each in found(project, ready_details)] == [True] * is_on


def test_reasons_on_a_port_that_is_not_for_everyone_are_not_reported(project: Project) -> None:
    project.settings(READY_DETAILS=True, OPERATING_PORT=9000)

    assert found(project, ready_details) == []


@pytest.mark.parametrize(
    "check",
    [
        *(open_cors, cookies_without_tls, public_documentation, ready_details, any_host, unknown_proxy),
        *(missing_limits, missing_headers),
    ],
)
def test_a_worker_shows_nothing_to_anyone(project: Project, check: object) -> None:
    project.settings(ALLOW_ORIGINS=["*"], READY_DETAILS=True, FRAME_OPTIONS=None, **dict.fromkeys(LIMITS["api"]))
    assert found(project, check, MODE="worker") == []  # type: ignore[arg-type]

    project.settings(ALLOW_ORIGINS=["http://a.example"], ALLOW_CREDENTIALS=True)
    assert found(project, check, MODE="worker") == []  # type: ignore[arg-type]
