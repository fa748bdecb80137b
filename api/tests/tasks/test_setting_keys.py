"""Celery's settings that were set by variables, whose names are in upper case."""

from __future__ import annotations

from typing import Any

import pytest

from opa.tasks.setting_keys import with_keys_of_celery


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("task_routes", {"A.*": {"QUEUE": "slow"}}, {"A.*": {"queue": "slow"}}),
        ("task_annotations", {"*": {"TIME_LIMIT": 5, "MINE": 1}}, {"*": {"time_limit": 5, "MINE": 1}}),
        (
            "broker_transport_options",
            {"VISIBILITY_TIMEOUT": 5, "retry_policy": {"MAX_RETRIES": 1}},
            {"visibility_timeout": 5, "retry_policy": {"max_retries": 1}},
        ),
        ("task_routes", [["a", {"queue": "slow"}]], [["a", {"queue": "slow"}]]),
        ("timezone", "Europe/Oslo", "Europe/Oslo"),
    ],
)
def test_celery_finds_its_keys(name: str, value: Any, expected: Any) -> None:
    assert with_keys_of_celery(name, value) == expected
