from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.deploy.door import OpenDoor
from opa.checks.deploy.secrets_of_others import (
    jwt_without_tls,
    weak_jwt_secrets,
    weak_user_passwords,
    weak_webhook_secrets,
)
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "5e1f0c9a7b3d48e2a6d4f8c1b09e7352"
QUICK = PasswordHasher(time_cost=1, memory_cost=7168, parallelism=1)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (KEY, None),
        (f"change-me-{KEY}", "placeholder"),
        ("a" * 40, "different characters"),
        ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "tutorial"),
    ],
)
@pytest.mark.parametrize("env", ["", "production"])
def test_a_secret_of_tokens_that_is_guessed_is_reported(
    project: Project, secret: str, problem: str | None, env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", env)
    project.settings(JWT_ISSUERS=[{"issuer": "shop", "audience": "x", "secret": secret}])
    manager = project.prepare()

    told = list(weak_jwt_secrets(Deployment(manager, {})))

    assert [problem in str(each) for each in told if problem] == [True] * (problem is not None)
    assert [isinstance(each, OpenDoor) for each in told] == [bool(env)] * (problem is not None)
    assert secret not in "".join(map(str, told))
    assert list(weak_jwt_secrets(Deployment(manager, {"MODE": "worker"}))) == []


def test_keys_of_tokens_that_come_without_tls_are_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "dev")
    project.settings(
        JWT_ISSUERS=[
            {"issuer": "http://localhost:8080", "audience": "x"},
            {"issuer": "one", "jwks_url": "http://localhost:8080/keys", "audience": "x"},
            {"issuer": "two", "secret": KEY, "audience": "x"},
            {"issuer": "https://login.example", "audience": "x"},
        ]
    )
    told = found(project, jwt_without_tls)
    assert [each.partition(" come")[0] for each in told] == [
        "the keys of the issuer http://localhost:8080",
        "the keys of the issuer one",
    ]


def test_secrets_of_webhooks_that_are_guessed_are_reported(project: Project) -> None:
    project.plugin(
        "hooks.py",
        f"""
        from opa import Signed, get_router

        router = get_router()
        weak = Signed("github", secret=["{KEY}", "short"])

        @router.post("/one", dependencies=[weak])
        @router.post("/one-again", dependencies=[weak])
        async def one(): ...

        @router.post("/two", dependencies=[Signed("slack", secret="{KEY}")])
        async def two(): ...

        @router.post("/three", dependencies=[Signed("stripe", secret=lambda: "")])
        async def three(): ...
        """,
    )
    app = project.app()

    weak, unknown = weak_webhook_secrets(Deployment(app.manager, {}, app))

    assert "/one" in weak.problem
    assert weak.problem.endswith("is guessed: it has fewer than 16 characters")
    assert isinstance(unknown, NotChecked)
    assert unknown.problem.startswith("/three: the secret of Signed('stripe') is empty")


def test_passwords_of_users_that_everyone_would_try_are_reported(project: Project) -> None:
    hashes = {
        "ada": QUICK.hash("admin"),
        "ben": QUICK.hash("ben"),
        "carl": QUICK.hash("correct horse battery"),
    }
    project.settings(USERS={name: {"PASSWORD": each} for name, each in hashes.items()})
    project.component("aioredis", "redis-aioredis", URL="redis://127.0.0.1:1")
    assert [each.split("'")[1] for each in found(project, weak_user_passwords)] == ["ada", "ben"]
    assert found(project, weak_user_passwords, MODE="worker") == []
