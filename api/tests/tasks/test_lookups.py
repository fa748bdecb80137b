"""Names and numbers that Celery looks up late are told before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from opa.errors import RegistrationError, SettingsError
from opa.tasks.configure import DEFAULTS
from opa.tasks.lookups import read_texts, unknown_names
from tests.project import Project


def problems(**settings: Any) -> list[tuple[str, str]]:
    app = Celery("any", set_as_current=False)
    app.conf.update(DEFAULTS, **settings)
    return list(unknown_names(app.conf))


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("worker_pool", "threds", 'is "threds", should be prefork, threads, solo, or a class such as'),
        ("worker_pool", "nope.pools:Mine", 'is "nope.pools:Mine", should be'),
        ("accept_content", ["jsn"], "is ['jsn'], should be a list such as [\"json\"]"),
        ("accept_content", "json", 'is "json", should be a list such as'),
        ("result_accept_content", ["jsn"], "is ['jsn']"),
        ("result_compression", "gzp", 'is "gzp", should be gzip'),
        ("imports", ["nope"], "is ['nope'], should be a list of modules"),
        ("include", ["json.nope"], "is ['json.nope'], should be"),
        ("worker_max_tasks_per_child", "abc", 'is "abc", should be a number'),
        ("broker_pool_limit", [5], "is [5], should be a number"),
        ("task_default_exchange_type", "dirct", 'is "dirct", should be direct, topic, fanout, headers'),
        ("task_default_delivery_mode", "persistnt", 'is "persistnt", should be persistent or transient'),
        ("task_default_rate_limit", "100/x", 'is "100/x", should be'),
        ("task_default_priority", "high", 'is "high", should be a number'),
        ("worker_send_task_events", "maybe", 'is "maybe", should be true or false'),
        ("worker_consumer", "nope:Consumer", 'is "nope:Consumer", should be a class such as package.module:Class'),
        ("beat_scheduler", "mine", 'is "mine", should be a class'),
        ("accept_content", ["pickle"], 'lacks "json", in which each task is written (CELERY_TASK_SERIALIZER)'),
        ("result_accept_content", ["yaml"], 'lacks "json", in which each result is written (CELERY_RESULT_SERIALIZER)'),
        ("timezone", "utc", 'is "utc", should be a time zone'),
        ("broker_failover_strategy", "roundrobin", 'is "roundrobin", should be round-robin or shuffle'),
        ("broker_transport_options", '{"password": "hunter2', "should be a mapping, which in a variable may be JSON"),
        ("redis_backend_use_ssl", "certs", "should be a mapping"),
        ("broker_use_ssl", "maybe", "should be a mapping"),
        ("task_queues", "slow,fast", "should be a mapping"),
        ("task_annotations", {"*": {"rate_limit": "100/x"}}, "rate_limit of '*' is \"100/x\", should be a number for"),
        ("task_annotations", [{"a.b": {"compression": "gzp"}}], "compression of 'a.b' is \"gzp\", should be gzip"),
    ],
)
def test_a_value_that_celery_does_not_know_is_reported(name: str, value: Any, problem: str) -> None:
    ((setting, told),) = problems(**{name: value})
    assert setting == name
    assert told.startswith(problem)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"broker_use_ssl": True, "redis_backend_use_ssl": {"ssl_cert_reqs": "required"}, "task_queues": ()},
        {"worker_pool": "threads", "accept_content": ["json", "application/x-mine"], "imports": ["json.tool", "json"]},
        {"task_default_exchange_type": "x-consistent-hash", "task_default_delivery_mode": "transient"},
        {"task_default_exchange_type": "topic", "task_default_delivery_mode": 1},
        {"worker_pool": "celery.concurrency.solo:TaskPool", "imports": "json", "worker_max_tasks_per_child": 5},
        {"worker_timer": "json:loads", "result_serializer": "pickle", "result_accept_content": ["json", "pickle"]},
        {"result_compression": "zlib", "task_annotations": {"*": {"rate_limit": 5, "serializer": "json"}}},
        {"task_annotations": [object(), {"a": {"rate_limit": None}}], "broker_pool_limit": False},
    ],
)
def test_names_and_numbers_that_celery_knows_are_no_mistake(settings: dict[str, Any]) -> None:
    assert problems(**settings) == []


def test_a_number_that_was_written_as_a_text_is_one() -> None:
    written = {"worker_max_tasks_per_child": "5", "broker_connection_timeout": "0.5", "task_default_queue": "5"}
    assert read_texts(written) == {**written, "worker_max_tasks_per_child": 5, "broker_connection_timeout": 0.5}
    assert read_texts({"broker_pool_limit": "abc"}) == {"broker_pool_limit": "abc"}


def test_a_switch_that_was_written_as_a_text_is_one() -> None:
    written = {"worker_send_task_events": "off", "task_track_started": "Yes", "enable_utc": "maybe", "timezone": "no"}
    assert read_texts(written) == {**written, "worker_send_task_events": False, "task_track_started": True}


@pytest.mark.parametrize(
    ("plugin", "problem"),
    [
        ('@task(rate_limit="100/x")\ndef build(): ...', 'rate_limit is "100/x", should be a number for each second'),
        ('@task(serializer="jsno")\ndef build(): ...', 'serializer is "jsno", should be json'),
        ('class Slow(Task):\n    compression = "gzp"\n\n@task(base=Slow)\ndef build(): ...', 'compression is "gzp"'),
        ('@shared_task(rate_limit="100/x")\ndef build(): ...', 'rate_limit is "100/x", should be a number for each'),
        ('@celery.task(rate_limit="100/x")\ndef build(): ...', 'rate_limit is "100/x"'),
        (
            'class build(Task):\n    rate_limit = "100/x"\n    def run(self): ...\n\ncelery.register_task(build)',
            "rate_l",
        ),
        (
            'class Build(Task):\n    name = "jobs.build"\n    serializer = "jsno"\n    def run(self): ...\n\n'
            "celery.tasks.register(Build())",
            'serializer is "jsno"',
        ),
    ],
)
def test_an_option_of_a_task_that_celery_does_not_know_is_reported_with_the_task(
    project: Project, plugin: str, problem: str
) -> None:
    lines = "from celery import Task, shared_task\nfrom opa import get_instance, task\ncelery = get_instance('celery')"
    project.plugin("jobs.py", f"{lines}\n\n{plugin}\n")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1")
    with pytest.raises(RegistrationError, match="task 'jobs.build'") as caught:
        project.prepare()
    assert problem in str(caught.value)
    assert "jobs.py:" in str(caught.value)
    assert "plugin 'jobs'" in str(caught.value) or caught.value.plugin == "jobs"


def test_an_annotation_that_celery_does_not_know_is_reported_with_its_source(project: Project) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1")
    project.settings(CELERY_TASK_ANNOTATIONS={"jobs.build": {"rate_limit": "100/x"}})
    with pytest.raises(SettingsError, match=r"CELERY_TASK_ANNOTATIONS: rate_limit of 'jobs.build' is .*00-test.json"):
        project.prepare()


def test_a_format_that_a_default_of_celery_does_not_accept_is_told_without_a_place(project: Project) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1")
    project.settings(CELERY_TASK_SERIALIZER="yaml")
    with pytest.raises(SettingsError, match=r'^CELERY_ACCEPT_CONTENT: lacks "yaml", .*\(CELERY_TASK_SERIALIZER\)$'):
        project.prepare()


def test_an_option_that_the_settings_have_is_no_mistake_of_the_task(project: Project) -> None:
    project.plugin("jobs.py", "from celery import shared_task\n\n@shared_task\ndef build(): ...")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1")
    project.settings(CELERY_TASK_DEFAULT_RATE_LIMIT="100/x")
    with pytest.raises(SettingsError, match="CELERY_TASK_DEFAULT_RATE_LIMIT"):
        project.prepare()
