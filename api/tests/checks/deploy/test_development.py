from __future__ import annotations

import pytest

from opa.checks.deploy.development import debug, debugger, env_of_development, env_without_section, reload
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(("setting", "check"), [("DEBUG", debug), ("DEBUGPY", debugger), ("RELOAD", reload)])
@pytest.mark.parametrize("is_on", [True, False])
def test_a_switch_for_development_is_reported_where_it_is_on(
    project: Project, setting: str, check: object, is_on: bool
) -> None:
    project.settings(**{setting: is_on})

    problems = found(project, check)  # type: ignore[arg-type]

    assert [problem.startswith(f"{setting} is on") for problem in problems] == [True] * is_on


@pytest.mark.parametrize(("env", "is_reported"), [("dev", True), ("prod,dev", True), ("", False), ("prod", False)])
def test_the_env_of_development_is_reported(
    project: Project, env: str, is_reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", env)

    assert bool(found(project, env_of_development)) == is_reported


@pytest.mark.parametrize(
    ("env", "is_reported"), [("europe", True), ("prod", False), ("oslo", False), ("dev", False), ("", False)]
)
def test_an_env_that_no_file_has_is_reported_unless_everyone_uses_it(
    project: Project, env: str, is_reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("a.yaml", "oslo: {PORT: 81}", folder="settings")
    monkeypatch.setenv("ENV", env)

    assert bool(found(project, env_without_section)) == is_reported
