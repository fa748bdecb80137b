from __future__ import annotations

import pytest

from opa.checks.deploy.exposure import any_host, open_cors, public_documentation, unknown_proxy
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(("origins", "count"), [(["*"], 1), (["https://a.example"], 0), ([], 0)])
def test_cors_for_any_site_is_reported(project: Project, origins: list[str], count: int) -> None:
    project.settings(ALLOW_ORIGINS=origins)

    assert len(found(project, open_cors)) == count


def test_the_documentation_is_reported_with_the_pages_that_are_shown(project: Project) -> None:
    project.settings(REDOC_URL=None)

    (problem,) = found(project, public_documentation)

    assert problem.startswith("DOCS_URL, OPENAPI_URL: ")


def test_no_documentation_is_not_reported(project: Project) -> None:
    project.settings(DOCS_URL=None, REDOC_URL=None, OPENAPI_URL=None)

    assert found(project, public_documentation) == []


@pytest.mark.parametrize(("hosts", "count"), [([], 1), (["api.example.com"], 0)])
def test_any_host_is_reported(project: Project, hosts: list[str], count: int) -> None:
    project.settings(TRUSTED_HOSTS=hosts)

    assert len(found(project, any_host)) == count


@pytest.mark.parametrize(("proxies", "problem"), [("", "is not set"), ("10.0.0.1, *", 'is "*"'), ("10.0.0.1", None)])
def test_a_proxy_that_is_not_named_is_reported(project: Project, proxies: str, problem: str | None) -> None:
    problems = found(project, unknown_proxy, FORWARDED_ALLOW_IPS=proxies)

    assert [problem is not None and problem in each for each in problems] == [True] * (problem is not None)


@pytest.mark.parametrize("check", [open_cors, public_documentation, any_host, unknown_proxy])
def test_a_worker_shows_nothing_to_anyone(project: Project, check: object) -> None:
    project.settings(ALLOW_ORIGINS=["*"])

    assert found(project, check, MODE="worker") == []  # type: ignore[arg-type]
