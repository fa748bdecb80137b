from __future__ import annotations

import pytest

from opa.checks.deploy.turned_off import LIMITS, missing_headers, missing_limits
from opa.settings.schema import Settings
from tests.checks.deploy.deployments import found
from tests.project import Project

NULLABLE = [name for name, field in Settings.model_fields.items() if "None" in str(field.annotation)]


@pytest.mark.parametrize(("mode", "name"), [(mode, name) for mode, names in LIMITS.items() for name in names])
def test_a_limit_that_is_null_is_reported(project: Project, mode: str, name: str) -> None:
    assert found(project, missing_limits, MODE=mode) == []
    project.settings(**{name: None})

    (problem,) = found(project, missing_limits, MODE=mode)

    assert problem.startswith(f"{name}: without a limit, one ")


def test_each_limit_of_requests_that_can_be_null_is_looked_at() -> None:
    of_requests = {name for name in NULLABLE if name.startswith(("MAX_", "WEBSOCKET_")) or name.endswith("_TIMEOUT")}

    assert of_requests == set(LIMITS["api"])


def test_headers_that_are_null_are_reported_together(project: Project) -> None:
    assert found(project, missing_headers) == []
    project.settings(CONTENT_TYPE_OPTIONS=None, FRAME_OPTIONS=None, REFERRER_POLICY=None, PAGES_POLICY=None)

    (problem,) = found(project, missing_headers)

    assert problem.startswith("CONTENT_TYPE_OPTIONS, FRAME_OPTIONS, REFERRER_POLICY, PAGES_POLICY: ")


def test_a_policy_for_pages_is_not_missed_without_pages(project: Project) -> None:
    project.settings(PAGES_POLICY=None, DOCS_URL=None, REDOC_URL=None)

    assert found(project, missing_headers) == []
