from __future__ import annotations

import pytest

from opa.checks.deploy.hosts import any_host
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(
    ("hosts", "problem"),
    [
        ([], "is empty"),
        (["*"], "has *"),
        (["api.example.com", "*"], "has *"),
        (["*.com", "*.dev"], "has *.com, *.dev"),
        (["*.co.uk"], "has *.co.uk"),
        (["api.example.com"], None),
        (["*.example.com", "*.example.no"], None),
        (["*.internal", "*.svc.cluster.local", "localhost"], None),
    ],
)
def test_a_host_that_anyone_can_have_is_reported(project: Project, hosts: list[str], problem: str | None) -> None:
    project.settings(TRUSTED_HOSTS=hosts)

    problems = found(project, any_host)

    assert [each.startswith(f"TRUSTED_HOSTS {problem}: ") for each in problems] == [True] * (problem is not None)
