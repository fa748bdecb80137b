from __future__ import annotations

from opa.checks.deploy.static_files import static_files_that_nobody_serves
from tests.checks.deploy.deployments import found
from tests.project import Project


def test_files_for_which_nobody_has_said_who_serves_them_are_reported(project: Project) -> None:
    project.plugin("plain.py")
    assert found(project, static_files_that_nobody_serves) == []
    for name in ("desk", "shop"):
        project.plugin(f"{name}/__init__.py")
        project.plugin(f"{name}/static/app.css", "h1 {}")

    (problem,) = found(project, static_files_that_nobody_serves)

    assert problem.startswith("the files in static/ of desk, shop are not served")
    assert found(project, static_files_that_nobody_serves, MODE="worker") == []
    project.settings(STATIC=False)  # a proxy has them
    assert found(project, static_files_that_nobody_serves) == []
    project.settings(STATIC=True)
    assert found(project, static_files_that_nobody_serves) == []
