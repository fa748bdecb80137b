"""Celery's settings that were set by variables, whose names are in upper case."""

from __future__ import annotations

from typing import Any

import pytest

from opa.tasks.setting_keys import with_keys_of_celery
from tests.project import Project


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
        ("task_queues", {"SLOW": {"ROUTING_KEY": "slow"}}, {"SLOW": {"routing_key": "slow"}}),
        (
            "task_queues",
            {"Slow": {"queue_arguments": {"X-MINE": 1}}},
            {"Slow": {"queue_arguments": {"X-MINE": 1}}},
        ),
        (
            "broker_transport_options",
            {"CLIENT_PROPERTIES": {"APP": "shop"}, "PREDEFINED_QUEUES": {"SLOW": {"url": "https://sqs/1"}}, "MINE": 1},
            {"client_properties": {"APP": "shop"}, "predefined_queues": {"SLOW": {"url": "https://sqs/1"}}, "MINE": 1},
        ),
        ("broker_use_ssl", {"CA_CERTS": "/ca.pem"}, {"ca_certs": "/ca.pem"}),
        ("redis_backend_use_ssl", {"SSL_CA_CERTS": "/ca.pem"}, {"ssl_ca_certs": "/ca.pem"}),
        ("database_engine_options", {"CONNECT_ARGS": {"APP": 1}}, {"connect_args": {"APP": 1}}),
        ("task_routes", [["a", {"queue": "slow"}]], [["a", {"queue": "slow"}]]),
        ("task_publish_retry_policy", '{"MAX_RETRIES": 2}', {"max_retries": 2}),
        ("task_queues", '{"slow": {"routing_key": "slow"}}', {"slow": {"routing_key": "slow"}}),
        ("task_queues", '{"slow": ', '{"slow": '),
        ("task_routes", "shop.routes:route", "shop.routes:route"),
        ("timezone", "Europe/Oslo", "Europe/Oslo"),
    ],
)
def test_celery_finds_its_keys(name: str, value: Any, expected: Any) -> None:
    assert with_keys_of_celery(name, value) == expected


def test_a_route_may_have_the_name_of_a_task_in_upper_case_as_a_variable_has_it(project: Project) -> None:
    project.plugin("jobs.py", "from opa import task\n@task\ndef run(): ...\n")
    project.component("CELERY", "celery", BROKER_URL="redis://localhost:1/0")
    project.settings(CELERY_TASK_ROUTES={"JOBS.RUN": {"queue": "slow"}, "OTHER.*": {"queue": "fast"}})
    routes = project.prepare().celery.conf.task_routes
    assert routes == {"jobs.run": {"queue": "slow"}, "OTHER.*": {"queue": "fast"}}
