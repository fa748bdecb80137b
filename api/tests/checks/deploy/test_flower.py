from __future__ import annotations

from pathlib import Path

import pytest

from opa.checks.deploy.flower import flower_password
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "5e1f0c9a7b3d48e2a6d4f8c1b09e7352"


@pytest.mark.parametrize(
    ("mode", "password", "problem"),
    [
        ("flower", "", "flower has no password"),
        ("flower", "flower:flower", "flower has a password that is guessed: it is a word that everyone would try"),
        ("flower", f"mary:{KEY},john:short", "flower has a password that is guessed: it "),
        ("flower", "mary:maryland-12345", None),
        (
            "flower",
            "mary:changeme-changeme",
            "flower has a password that is guessed: it has the words of a placeholder in it",
        ),
        ("flower", f"mary:{KEY}", None),
        ("api", "flower:flower", "flower has a password that is guessed: it "),
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


@pytest.mark.parametrize(
    ("users", "lets_anyone_in"),
    [
        (".*", True),
        (".*@.*", True),
        ("*", True),
        (".*@gmail.com", True),
        (".+@Outlook.com", True),
        ("me@example.com|.*@gmail.com", True),
        (".*@*.com", True),
        (".*@example.com", False),
        ("me@gmail.com|you@gmail.com", False),
        ("octocat", False),
    ],
)
def test_oauth_for_anyone_with_an_account_is_reported(project: Project, users: str, lets_anyone_in: bool) -> None:
    problems = found(project, flower_password, MODE="flower", FLOWER_AUTH=users)

    expected = "FLOWER_AUTH lets anyone in who has an account with the provider"
    assert problems == [expected] * lets_anyone_in


def test_oauth_for_anyone_is_protected_by_a_password(project: Project) -> None:
    variables = {"FLOWER_AUTH": ".*@gmail.com", "FLOWER_BASIC_AUTH": f"mary:{KEY}"}

    assert found(project, flower_password, MODE="flower", **variables) == []


@pytest.mark.parametrize(("value", "is_on"), [("true", True), ("1", True), (" Yes", True), ("false", False)])
def test_an_api_of_flower_for_everyone_is_reported(project: Project, value: str, is_on: bool) -> None:
    variables = {"FLOWER_UNAUTHENTICATED_API": value, "FLOWER_BASIC_AUTH": f"mary:{KEY}"}

    problems = found(project, flower_password, MODE="flower", **variables)

    assert [problem.startswith("FLOWER_UNAUTHENTICATED_API is on") for problem in problems] == [True] * is_on


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"FLOWER_COOKIE_SECRET": "changeme"}, "FLOWER_COOKIE_SECRET is guessed: it is a word that everyone would try"),
        ({"FLOWER_COOKIE_SECRET": "x8Kq2v"}, "FLOWER_COOKIE_SECRET is guessed: it has fewer than 32 characters"),
        ({"FLOWER_OAUTH2_SECRET": "secret"}, "FLOWER_OAUTH2_SECRET is a word that everyone would try"),
        ({"FLOWER_OAUTH2_REDIRECT_URI": "HTTP://flower.example/login"}, "FLOWER_OAUTH2_REDIRECT_URI begins with http"),
        ({"FLOWER_COOKIE_SECRET": KEY, "FLOWER_OAUTH2_REDIRECT_URI": "https://flower.example/login"}, None),
    ],
)
def test_what_else_lets_in_with_oauth_is_reported(
    project: Project, variables: dict[str, str], problem: str | None
) -> None:
    told = found(project, flower_password, MODE="flower", FLOWER_AUTH=".*@example.com", **variables)
    assert len(told) == (problem is not None)
    assert all(each.startswith(problem) for each in told if problem)

    # Without OAuth nothing of it is used.
    assert found(project, flower_password, MODE="flower", FLOWER_BASIC_AUTH=f"mary:{KEY}", **variables) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("basic_auth = ['mary:admin']", "flower has a password that is guessed: it is a word that everyone would try"),
        ("auth = '.*'\nbasic_auth = []", "FLOWER_AUTH lets anyone in who has an account with the provider"),
        ("unauthenticated_api = True", "FLOWER_UNAUTHENTICATED_API is on"),
        ("import os\nbasic_auth = [os.environ['X']]\nmax_tasks = 1", None),
        ("basic_auth = [", None),  # flower says so
    ],
)
def test_a_file_of_options_beats_the_variables(
    project: Project, text: str, problem: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "options.py"
    file.write_text(text)
    variables = {"FLOWER_BASIC_AUTH": f"mary:{KEY}", "FLOWER_CONF": str(file)}

    told = found(project, flower_password, MODE="flower", **variables)

    assert len(told) == (problem is not None)
    assert all(each.startswith(problem) for each in told if problem)
