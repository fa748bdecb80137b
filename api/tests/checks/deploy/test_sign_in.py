from __future__ import annotations

from typing import Any

import pytest

from opa.checks.deploy.sign_in import sign_in_for_everyone, sign_in_without_tls
from tests.checks.deploy.deployments import found
from tests.project import Project

RULE = {"EMAIL": "ada@example.com"}


def provider(issuer: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"ISSUER": issuer, "CLIENT_ID": "a", "CLIENT_SECRET": "b", "ALLOW": rules}


@pytest.fixture
def without_plugin(project: Project) -> Project:
    """Without redis, which the plugin needs."""
    project.settings(PLUGIN_BLACKLIST_RE=".*access_sessions$", TRUSTED_HOSTS=["shop.example"])
    return project


def test_a_provider_without_tls_is_reported(without_plugin: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "dev")
    without_plugin.settings(
        OIDC_PROVIDERS={"a": provider("http://localhost:8080", RULE), "b": provider("https://b.example", RULE)}
    )
    (problem,) = found(without_plugin, sign_in_without_tls)
    assert problem.startswith("people sign in with the provider 'a' in plain text")
    assert found(without_plugin, sign_in_without_tls, MODE="worker") == []


def test_a_provider_who_lets_everyone_in_is_reported(without_plugin: Project) -> None:
    without_plugin.settings(
        OIDC_PROVIDERS={
            "a": provider("https://a.example", RULE, {"EVERYONE": True}),
            "b": provider("https://b.example", RULE),
        }
    )
    assert found(without_plugin, sign_in_for_everyone) == ["everyone with an account at https://a.example may sign in"]
