from __future__ import annotations

import pytest

from opa.checks.deploy.secret_key import weak_secret_key
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "5e1f0c9a7b3d48e2a6d4f8c1b09e7352"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "SECRET_KEY is empty"),
        ("changeme", "SECRET_KEY is a word that everyone would try"),
        ("0123456789", "SECRET_KEY has fewer than 32 characters"),
        ("changeme" * 5, "SECRET_KEY has fewer than 8 different characters"),
        ("change-me-please!" * 3, "SECRET_KEY repeats fewer than 32 characters"),
        ("ab" * 20, "SECRET_KEY has fewer than 8 different characters"),
    ],
)
def test_a_weak_secret_key_is_reported_without_the_key(project: Project, key: str, problem: str) -> None:
    project.settings(SECRET_KEY=key)

    assert found(project, weak_secret_key) == [f"{problem}: what a plugin signs with it can be forged"]


def test_a_long_secret_key_is_not_reported(project: Project) -> None:
    project.settings(SECRET_KEY=KEY)

    assert found(project, weak_secret_key) == []
