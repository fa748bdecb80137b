from __future__ import annotations

from pathlib import Path

import pytest

from opa.checks.deploy.passwords import component_passwords, flower_password, weak_secret_key
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "SECRET_KEY is empty"),
        ("changeme", "SECRET_KEY is a word that everyone would try"),
        ("0123456789", "SECRET_KEY has fewer than 32 characters"),
        ("ab" * 20, "SECRET_KEY has fewer than 8 different characters"),
    ],
)
def test_a_weak_secret_key_is_reported_without_the_key(project: Project, key: str, problem: str) -> None:
    project.settings(SECRET_KEY=key)

    assert found(project, weak_secret_key) == [f"{problem}: what a plugin signs with it can be forged"]


def test_a_long_secret_key_is_not_reported(project: Project) -> None:
    project.settings(SECRET_KEY=KEY)

    assert found(project, weak_secret_key) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://cache:6379/0", "has no password"),
        ("redis://user@cache:6379/0", "has no password"),
        ("redis://:redis@cache:6379/0", "has a password that everyone knows, such as the compose files' default"),
        ("redis://:%72edis@cache:6379/0", "has a password that everyone knows, such as the compose files' default"),
        (f"redis://:{KEY}@cache:6379/0", None),
        ("unix:///run/redis.sock", None),
        ("rediss://cache:6379/0?ssl_certfile=/run/secrets/cert", None),
    ],
)
def test_a_password_of_a_component_that_everyone_knows_is_reported(
    project: Project, url: str, problem: str | None
) -> None:
    project.component("cache", "redis-aioredis", URL=url)

    assert found(project, component_passwords) == ([f"component 'cache' {problem}"] if problem else [])


def test_each_of_several_servers_is_looked_at(project: Project) -> None:
    project.component(
        "queue", "celery", BROKER_URL=f"amqp://a:{KEY}@one//;amqp://guest:guest@two//", BACKEND_URL="redis://r"
    )

    assert found(project, component_passwords) == [
        "component 'queue' has a password that everyone knows, such as the compose files' default",
        "component 'queue' has no password",
    ]


def test_a_component_that_is_off_or_not_mentioned_is_not_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.component("cache", "redis-aioredis", load="no", URL="redis://cache")
    project.settings()
    assert found(project, component_passwords) == []

    (project.folder / "settings" / "00-test.json").unlink()
    monkeypatch.setenv("OPA_PLUGIN_PATHS", str(project.plugins))
    assert found(project, component_passwords) == []


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
