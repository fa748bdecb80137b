from __future__ import annotations

from typing import Any

from opa import get_plugin_manager
from opa.tasks.application import application_of
from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject

NO_QUEUES: list[dict[str, Any]] = [
    *({"queue": name} for name in (5, True, None, "", {"a": 1}, ["a"], "x" * 300, "\ud800", "a\nb", "opa.dead")),
    {"queue": "q1", "exchange": 5},
    {"queue": "q2", "exchange_type": "bogus"},
    {"queue": "q3", "routing_key": {"a": 1}},
    {"queue": "q4", "consumer_arguments": 5},
    {"queue": "q5", "queue_arguments": 5},
]
REFUSED_BY_RABBITMQ: list[dict[str, Any]] = [
    {"queue": "amq.reserved"},
    {"queue": "celery.pidbox", "exchange": "celery.pidbox"},
    {"queue": "q6", "exchange": "celery", "exchange_type": "fanout"},
]


def queues_of(control: Any) -> set[str]:
    """Those from which the worker takes."""
    answer = control.inspect(timeout=2).active_queues() or {}
    return {queue["name"] for queues in answer.values() for queue in queues}


def test_a_command_for_a_queue_that_cannot_be_ends_no_worker_and_is_of_no_consequence(any_tasks: TaskProject) -> None:
    tasks = any_tasks
    tasks.plugin("jobs.py", "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n")
    worker = tasks.worker("-c 1")
    with tasks.sending():
        double = tasks.module("jobs").double
        control = application_of(get_plugin_manager()).control
        refused = NO_QUEUES if tasks.broker.startswith("redis") else NO_QUEUES + REFUSED_BY_RABBITMQ
        for number, arguments in enumerate(refused):
            control.broadcast("add_consumer", arguments=arguments)
            control.broadcast("cancel_consumer", arguments={"queue": [arguments["queue"]]})
            assert double.delay(number).get(timeout=20) == 2 * number, arguments
        control.broadcast("add_consumer", arguments={"queue": "more"})
        assert double.apply_async((21,), queue="more").get(timeout=20) == 42
        control.broadcast("cancel_consumer", arguments={"queue": "more"})
        wait_until(lambda: "more" not in queues_of(control), what="the queue is given up")
        assert double.delay(4).get(timeout=20) == 8
    assert worker.stop() == 0
