from __future__ import annotations

import pytest

from opa.checks.deploy.cors import cookies_without_tls, open_cors
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(
    ("origins", "named"),
    [
        (["*"], "*"),
        (["https://a.example", "null"], "null"),
        (["file://"], "file://"),
        (["https://a.example"], None),
        ([], None),
    ],
)
def test_an_origin_that_any_page_can_have_is_reported(project: Project, origins: list[str], named: str | None) -> None:
    project.settings(ALLOW_ORIGINS=origins)

    problems = found(project, open_cors)

    assert [each.startswith(f'ALLOW_ORIGINS has "{named}": ') for each in problems] == [True] * (named is not None)


@pytest.mark.parametrize(
    ("origin", "has_credentials", "count"),
    [
        ("http://a.example", True, 1),
        ("http://localhost:3000", True, 1),
        ("http://a.example", False, 0),
        ("https://a.example", True, 0),
    ],
)
def test_cookies_for_a_page_without_tls_are_reported(
    project: Project, origin: str, has_credentials: bool, count: int
) -> None:
    project.settings(ALLOW_ORIGINS=["https://b.example", origin], ALLOW_CREDENTIALS=has_credentials)

    problems = found(project, cookies_without_tls)

    assert [each.startswith(f"ALLOW_CREDENTIALS is on for {origin}: ") for each in problems] == [True] * count
