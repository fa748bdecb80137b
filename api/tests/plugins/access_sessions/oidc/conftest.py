"""A project whose people sign in with a provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opa.logging.refusal_log import Refusals
from tests.oidc_provider import OidcProvider, oidc_provider, settings_of
from tests.plugins.access_sessions.people import use_sessions
from tests.project import Project


@pytest.fixture(scope="module")
def running() -> Iterator[OidcProvider]:
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: OidcProvider) -> Iterator[OidcProvider]:
    """As it is at first, whatever the test before has done."""
    yield running
    running.reset()


@pytest.fixture
def shop(project: Project, redis_url: str, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Without users of the settings, and in development: the provider has no certificate."""
    monkeypatch.setenv("ENV", "dev")
    use_sessions(project, redis_url, USERS={}, OIDC_PROVIDERS={"acme": settings_of(provider, LABEL="Acme & Sons")})
    return project


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider has its time also where the machine is busy."""
    monkeypatch.setattr("opa.jwt.jwks.TIMEOUT", 240)
    monkeypatch.setattr("opa.jwt.jwks.PATIENCE", 240)


@pytest.fixture(autouse=True)
def _no_refusals_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is logged at once."""
    monkeypatch.setattr("opa.http.access.attempt.refusals", Refusals())
