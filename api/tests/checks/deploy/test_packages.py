from __future__ import annotations

import pytest

from opa.checks.deploy.packages import unpinned_packages
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(
    ("packages", "named"),
    [
        (["fastapi"], "fastapi"),
        (["fastapi>=0.1", "starlette"], "fastapi>=0.1, starlette"),
        (["starlette==1.*"], "starlette==1.*"),
        ([], None),
    ],
)
def test_packages_without_a_version_are_reported(project: Project, packages: list[str], named: str | None) -> None:
    project.plugin("reports.py")
    project.meta("reports-meta.json", {"packages": packages})

    problems = found(project, unpinned_packages)

    assert [each.startswith(f"plugin 'reports' asks for {named}: ") for each in problems] == [True] * bool(named)


def test_packages_with_their_version_are_not_reported(project: Project) -> None:
    from importlib.metadata import version

    project.plugin("reports.py")
    project.meta("reports-meta.json", {"packages": [f"fastapi=={version('fastapi')}"]})

    assert found(project, unpinned_packages) == []
