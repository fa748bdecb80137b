from __future__ import annotations

import pytest

from opa.checks.deploy.components import component_passwords
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "0123456789abcdef0123456789abcdef"


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
