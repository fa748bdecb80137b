"""Findings about webhooks in WEBHOOKS_OUT."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from opa.checks.deploy.secrets_of_others import weak_webhook_secrets
from opa.checks.deploy.webhooks_out import webhooks_without_tls
from tests.checks.deploy.deployments import found
from tests.project import Project

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def encoded(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


def webhooks(project: Project, **changes: Any) -> None:
    project.settings(WEBHOOKS_OUT={"crm": {"ON": "*", "URL": "https://crm.example.org/x", "SECRET": SECRET, **changes}})


@pytest.mark.parametrize(
    ("url", "is_found"),
    [
        ("https://crm.example.org", False),
        ("http://crm.example.org", True),
        ("HTTP://crm:8000/", True),
        ("http://127.0.0.1:9000/x", False),
        ("http://localhost/x", False),
    ],
)
def test_webhooks_without_tls_are_reported(project: Project, url: str, is_found: bool) -> None:
    webhooks(project, URL=url)
    assert len(found(project, webhooks_without_tls)) == is_found


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (SECRET, None),
        ([SECRET, encoded(b"short")], "has fewer than 24 bytes"),
        (encoded(b"a" * 40), "different characters"),
        (encoded(b"change-me-5e1f0c9a7b3d48e2"), "placeholder"),
    ],
)
def test_secrets_of_outgoing_webhooks_that_are_guessed_are_reported(
    project: Project, secret: str | list[str], problem: str | None
) -> None:
    webhooks(project, SECRET=secret)
    told = found(project, weak_webhook_secrets)
    assert [problem in each for each in told if problem] == [True] * (problem is not None)
    assert not any(each in "".join(told) for each in ([secret] if isinstance(secret, str) else secret))
