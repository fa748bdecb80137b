from __future__ import annotations

from pathlib import Path

import pytest

from opa.checks.deploy.flower import flower_password
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("mode", "password", "problem"),
    [
        ("flower", "", "flower has no password"),
        ("flower", "flower:flower", "flower has a password of fewer than 8 characters, or one that everyone knows"),
        ("flower", f"mary:{KEY},john:short", "flower has a password of fewer than 8 characters"),
        ("flower", f"mary:{KEY}", None),
        ("api", "flower:flower", "flower has a password of fewer than 8 characters"),
        ("api", "", None),
    ],
)
def test_a_weak_password_of_flower_is_reported(
    project: Project, mode: str, password: str, problem: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "flower"
    file.write_text(password)
    variables = {"FLOWER_BASIC_AUTH": password} if password else {}
    of_variable = found(project, flower_password, MODE=mode, **variables)
    of_file = found(project, flower_password, MODE=mode, FLOWER_BASIC_AUTH__FILE=str(file)) if password else of_variable

    assert of_variable == of_file
    assert [problem is not None and each.startswith(problem) for each in of_file] == [True] * (problem is not None)


def test_flower_with_oauth_needs_no_password(project: Project) -> None:
    assert found(project, flower_password, MODE="flower", FLOWER_AUTH=".*@example.com") == []
