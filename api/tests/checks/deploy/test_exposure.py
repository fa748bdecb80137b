from __future__ import annotations

import pytest

from opa.checks.deploy.cors import cookies_without_tls, open_cors
from opa.checks.deploy.exposure import (
    admin_for_everyone,
    console_for_everyone,
    open_metrics,
    public_documentation,
    ready_details,
)
from opa.checks.deploy.hosts import any_host
from opa.checks.deploy.proxy import unknown_proxy
from opa.checks.deploy.turned_off import LIMITS, missing_headers, missing_limits
from tests.checks.deploy.deployments import found
from tests.project import Project


def test_the_documentation_is_reported_with_the_pages_that_are_shown(project: Project) -> None:
    project.settings(REDOC_URL=None)

    (problem,) = found(project, public_documentation)

    assert problem.startswith("DOCS_URL, OPENAPI_URL: ")


def test_no_documentation_is_not_reported(project: Project) -> None:
    project.settings(DOCS_URL=None, REDOC_URL=None, OPENAPI_URL=None)

    assert found(project, public_documentation) == []


def test_documentation_that_the_settings_close_is_not_reported(project: Project) -> None:
    project.settings(ACCESS={"core_docs": "staff", "/redoc": "open"})
    (problem,) = found(project, public_documentation)
    assert problem.startswith("REDOC_URL, OPENAPI_URL: ")

    project.settings(ACCESS={"core_docs": "staff", "/openapi.json": "staff"})
    assert found(project, public_documentation) == []

    project.settings(ACCESS={}, ACCESS_DEFAULT="closed")
    assert found(project, public_documentation) == []


@pytest.mark.parametrize("is_on", [True, False])
def test_reasons_for_everyone_are_reported(project: Project, is_on: bool) -> None:
    project.settings(READY_DETAILS=is_on)

    assert [each.startswith("READY_DETAILS is on") for each in found(project, ready_details)] == [True] * is_on


def test_reasons_on_a_port_that_is_not_for_everyone_are_not_reported(project: Project) -> None:
    project.settings(READY_DETAILS=True, OPERATING_PORT=9000)

    assert found(project, ready_details) == []


@pytest.mark.parametrize("mode", ["api", "worker", "beat"])
@pytest.mark.parametrize(
    ("host", "environ", "is_open"),
    [
        ("127.0.0.1", {}, False),
        ("::1", {}, False),
        ("localhost", {}, False),
        ("10.0.0.7", {}, False),
        ("100.64.0.7", {}, False),
        ("fd00::7", {}, False),
        ("8.8.8.8", {}, True),
        ("8.8.8.8", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True),
        ("2001:4860:4860::8888", {}, True),
        ("0.0.0.0", {}, True),
        ("::", {}, True),
        ("0.0.0.0", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        ("0.0.0.0", {"container": "podman"}, False),
    ],
)
def test_metrics_on_an_address_that_others_reach_are_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, host: str, environ: dict[str, str], is_open: bool
) -> None:
    monkeypatch.setattr("opa.process.container._MARKS", ())
    project.settings(METRICS=True, OPERATING_HOST=host, OPERATING_PORT=9000)
    port = 9000 if mode == "api" else 9464
    problems = found(project, open_metrics, MODE=mode, **environ)
    assert [f"reaches port {port} of this machine" in each for each in problems] == [True] * is_open


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("worker", {"METRICS": False}),
        ("worker", {"METRICS_PORT": None}),
        ("worker", {"METRICS_URL": None}),
        ("api", {"OPERATING_PORT": None}),
        ("flower", {}),
    ],
)
def test_metrics_that_are_not_on_a_port_of_their_own_are_not_reported(
    project: Project, mode: str, settings: dict[str, object]
) -> None:
    project.settings(**{"METRICS": True, "OPERATING_HOST": "8.8.8.8", "OPERATING_PORT": 9000, **settings})
    assert found(project, open_metrics, MODE=mode) == []


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        ({"EVERYONE": True, "SCOPES": ["console:*"]}, "console:read, console:settings, console:source, console:runs,"),
        ({"EVERYONE": True, "SCOPES": ["*"]}, "with console:read, console:settings"),
        ({"EVERYONE": True, "SCOPES": ["docs:read", "console:runs"]}, "with console:runs"),
        ({"EVERYONE": True, "SCOPES": ["docs:read"]}, ""),
        ({"EMAIL": "ada@example.com", "SCOPES": ["*"]}, ""),
    ],
)
def test_a_console_for_everyone_is_reported(project: Project, rule: dict[str, object], parts: str) -> None:
    provider = {"ISSUER": "https://a.example", "CLIENT_ID": "a", "CLIENT_SECRET": "b", "ALLOW": [rule]}
    project.settings(
        PLUGIN_BLACKLIST_RE=".*access_sessions$", TRUSTED_HOSTS=["shop.example"], OIDC_PROVIDERS={"a": provider}
    )
    assert [parts in each for each in found(project, console_for_everyone)] == [True] * bool(parts)
    assert found(project, console_for_everyone, MODE="worker") == []
    project.settings(CONSOLE_URL=None)
    assert found(project, console_for_everyone) == []


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        ({"EVERYONE": True, "SCOPES": ["admin:*"]}, "into the admin at /admin, with admin:*"),
        ({"EVERYONE": True, "SCOPES": ["*"]}, "with *"),
        ({"EVERYONE": True, "SCOPES": ["docs:read", "admin:book:read"]}, "with admin:book:read"),
        ({"EVERYONE": True, "SCOPES": ["docs:read", "administration:read"]}, ""),
        ({"EMAIL": "ada@example.com", "SCOPES": ["*"]}, ""),
    ],
)
def test_an_admin_for_everyone_is_reported(project: Project, rule: dict[str, object], parts: str) -> None:
    provider = {"ISSUER": "https://a.example", "CLIENT_ID": "a", "CLIENT_SECRET": "b", "ALLOW": [rule]}
    project.settings(
        PLUGIN_BLACKLIST_RE=".*access_sessions$", TRUSTED_HOSTS=["shop.example"], OIDC_PROVIDERS={"a": provider}
    )
    assert [parts in each for each in found(project, admin_for_everyone)] == [True] * bool(parts)
    assert found(project, admin_for_everyone, MODE="worker") == []
    project.settings(ADMIN_URL=None)
    assert found(project, admin_for_everyone) == []


@pytest.mark.parametrize(
    "check",
    [
        *(open_cors, cookies_without_tls, public_documentation, ready_details, any_host, unknown_proxy),
        *(missing_limits, missing_headers),
    ],
)
def test_a_worker_shows_nothing_to_anyone(project: Project, check: object) -> None:
    project.settings(ALLOW_ORIGINS=["*"], READY_DETAILS=True, FRAME_OPTIONS=None, **dict.fromkeys(LIMITS["api"]))
    assert found(project, check, MODE="worker") == []  # type: ignore[arg-type]

    project.settings(ALLOW_ORIGINS=["http://a.example"], ALLOW_CREDENTIALS=True)
    assert found(project, check, MODE="worker") == []  # type: ignore[arg-type]
