"""The queues on RabbitMQ."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import kombu
import pytest
from amqp.exceptions import PreconditionFailed
from kombu import Queue

from opa import get_plugin_manager
from opa.errors import OpaError
from opa.tasks.application import application_of
from opa.tasks.brokers import queues
from opa.tasks.brokers.queues import SETTLING
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject, task_project

JOBS = """
import time
from pathlib import Path

from opa import task


@task
def add(a, b):
    return a + b


@task
def wait():
    Path("waits").touch()
    while not Path("may-end").exists():
        time.sleep(0.05)
    return "done"


@task(bind=True)
def again(self, pauses):
    if self.request.retries < len(pauses):
        raise self.retry(countdown=pauses[self.request.retries])
    return self.request.retries
"""


@pytest.fixture
def jobs(rabbit_tasks: TaskProject) -> Iterator[TaskProject]:
    """The project, with the api of this process running."""
    rabbit_tasks.plugin("jobs.py", JOBS)
    with rabbit_tasks.sending():
        yield rabbit_tasks


def dead(jobs: TaskProject) -> list[str]:
    """The ids of the dead letters."""
    found = []
    with kombu.Connection(jobs.broker) as connection:
        queue = Queue("opa.dead", channel=connection.default_channel)
        while message := queue.get():
            found.append(message.headers["id"])
    return found


@pytest.mark.docker
def test_the_queues_are_replicated_bounded_and_lose_nothing(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    jobs.worker()
    queue = rabbitmq.queue(jobs.broker, "celery")
    assert queue["type"] == "quorum"
    assert queue["durable"]
    assert queue["arguments"]["x-delivery-limit"] == 4
    assert queue["arguments"]["x-dead-letter-routing-key"] == "opa.dead"
    assert queue["arguments"]["x-dead-letter-strategy"] == "at-least-once"
    assert rabbitmq.queue(jobs.broker, "opa.dead")["type"] == "quorum"


@pytest.mark.docker
def test_a_worker_holds_no_more_tasks_than_it_runs(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    jobs.worker("-c 1")
    module = jobs.module("jobs")
    module.wait.delay()
    wait_until((jobs.folder / "waits").exists, what="it runs")
    results = [module.add.delay(1, 2) for _ in range(3)]
    wait_until(lambda: ready(jobs) == 3, what="the others wait in RabbitMQ")
    (jobs.folder / "may-end").touch()
    assert [result.get(timeout=60) for result in results] == [3, 3, 3]


def ready(jobs: TaskProject, queue: str = "celery") -> int:
    """How many messages wait in a queue."""
    with kombu.Connection(jobs.broker) as connection:
        declared: Any = Queue(queue, channel=connection.default_channel).queue_declare(passive=True)
    count: int = declared.message_count
    return count


@pytest.mark.docker
@pytest.mark.parametrize("options", [{}, {"queue": "slow"}], ids=["default queue", "another queue"])
def test_a_countdown_that_is_sent_before_any_worker_has_run_is_not_lost(
    jobs: TaskProject, options: dict[str, str]
) -> None:
    before = time.monotonic()
    result = jobs.module("jobs").add.apply_async((1, 2), countdown=2, **options)
    assert jobs.module("jobs").add.apply_async((1, 2), countdown=2, **options).id
    jobs.worker("-c 1 -Q celery,slow")
    assert result.get(timeout=60) == 3
    assert time.monotonic() - before >= 2


@pytest.mark.docker
def test_a_countdown_for_a_queue_without_worker_waits_for_it_there(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    jobs.worker("-c 1 -Q celery")
    result = jobs.module("jobs").add.apply_async((1, 2), countdown=1, queue="slow")
    wait_until(lambda: ready(jobs, "slow") == 1, what="it has come to its queue")
    jobs.worker("-c 1 -Q slow -n slow@%h")
    assert result.get(timeout=60) == 3


@pytest.mark.docker
def test_a_countdown_waits_in_rabbitmq_and_not_in_a_worker(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    worker = jobs.worker(OPA_LOGLEVEL="debug")
    jobs.module("jobs").add.apply_async((1, 2), countdown=60)
    wait_until(lambda: ready(jobs, "celery_delayed_5") == 1, what="it waits its first 32 seconds")
    assert "received" not in worker.log


@pytest.mark.docker
@pytest.mark.parametrize("countdown", [0.3, 1.2])
def test_a_fraction_of_a_second_is_a_countdown_too(jobs: TaskProject, countdown: float) -> None:
    jobs.worker()
    before = time.monotonic()
    assert jobs.module("jobs").add.apply_async((1, 2), countdown=countdown).get(timeout=60) == 3
    assert time.monotonic() - before >= countdown


@pytest.mark.docker
def test_retries_may_wait_long_and_short_one_after_the_other(jobs: TaskProject) -> None:
    jobs.worker()
    assert jobs.module("jobs").again.delay([0.3, 2, 0]).get(timeout=60) == 3


@pytest.mark.docker
def test_a_task_may_be_sent_for_a_point_in_time(jobs: TaskProject) -> None:
    jobs.worker()
    for seconds in (1.5, 0.2, -10):
        eta = datetime.now(UTC) + timedelta(seconds=seconds)
        assert jobs.module("jobs").add.apply_async((1, 2), eta=eta).get(timeout=60) == 3
        assert datetime.now(UTC) >= eta


@pytest.mark.docker
def test_a_task_that_expires_is_no_dead_letter(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    result = jobs.module("jobs").add.apply_async((1, 2), expires=1)
    time.sleep(1.5)  # it is about time
    jobs.worker()
    wait_until(lambda: result.state == "REVOKED", what="a worker finds that it has expired")
    assert dead(jobs) == []


@pytest.mark.docker
def test_a_task_that_no_worker_knows_is_kept_as_a_dead_letter(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    jobs.worker()
    result = jobs.module("jobs").add.app.send_task("jobs.of_a_later_version", (1,))
    wait_until(lambda: dead(jobs) == [result.id], what="it is a dead letter")
    with pytest.raises(Exception, match="of_a_later_version"):
        result.get(timeout=5)


@pytest.mark.docker
def test_classic_queues_work_as_well(rabbit_tasks: TaskProject, rabbitmq: RabbitMQ) -> None:
    rabbit_tasks.plugin("jobs.py", JOBS)
    rabbit_tasks.settings(CELERY_TASK_DEFAULT_QUEUE_TYPE="classic")
    rabbit_tasks.worker()
    with rabbit_tasks.sending():
        module = rabbit_tasks.module("jobs")
        assert module.add.delay(1, 2).get(timeout=60) == 3
        assert module.add.apply_async((1, 2), countdown=0.5).get(timeout=60) == 3
        result = module.add.app.send_task("jobs.unknown")
        wait_until(lambda: dead(rabbit_tasks) == [result.id], what="it is a dead letter")
    assert rabbitmq.queue(rabbit_tasks.broker, "celery")["type"] == "classic"


@pytest.mark.docker
def test_a_queue_that_is_there_with_other_properties_ends_the_worker_with_one_clear_line(jobs: TaskProject) -> None:
    with kombu.Connection(jobs.broker) as connection:
        Queue("celery", channel=connection.default_channel, durable=True).queue_declare()
    worker = jobs.start()
    assert worker.wait() == 1
    errors = [line["message"] for line in worker.lines if line["level"] in ("ERROR", "CRITICAL")]
    assert len(errors) == 1, worker.log
    assert "queue 'celery'" in errors[0]
    assert "Delete it" in errors[0]


@pytest.mark.docker
def test_a_second_worker_of_the_same_name_is_told_so_in_one_clear_line(jobs: TaskProject) -> None:
    jobs.worker("-c 1 -n same@here")
    worker = jobs.start(CELERY_PARAMS="-c 1 -n same@here")
    assert worker.wait() == 1
    errors = [line["message"] for line in worker.lines if line["level"] in ("ERROR", "CRITICAL")]
    assert len(errors) == 1, worker.log
    assert "another worker with the name same@here" in errors[0]


@pytest.mark.docker
def test_another_delivery_limit_applies_to_new_queues_and_existing_ones_keep_theirs(
    jobs: TaskProject, rabbitmq: RabbitMQ
) -> None:
    assert jobs.worker().stop() == 0
    jobs.settings(TASK_DELIVERY_LIMIT=9)
    jobs.worker("-c 1 -Q celery,other")
    with jobs.sending():
        assert jobs.module("jobs").add.delay(1, 2).get(timeout=60) == 3
    assert rabbitmq.queue(jobs.broker, "celery")["arguments"]["x-delivery-limit"] == 4
    assert rabbitmq.queue(jobs.broker, "other")["arguments"]["x-delivery-limit"] == 8


BROADCAST = """
from kombu import Queue
from kombu.common import Broadcast

from opa import Hook, task


class Queues(Hook):
    name = "driver.celery.setup"

    def run(self, celery_app):
        celery_app.conf.task_queues = [
            Broadcast("tell_all"),
            Queue("celery"),
            Queue("ranked", max_priority=3),
            Queue("lazy", queue_arguments={"x-queue-mode": "lazy"}),
            Queue("mine", exclusive=True),
        ]
        return celery_app


@task(queue="tell_all", ignore_result=True)
def reload_cache():
    print("RELOADED", flush=True)
"""


@pytest.mark.docker
def test_each_worker_runs_a_task_of_a_broadcast_queue_once(rabbit_tasks: TaskProject, rabbitmq: RabbitMQ) -> None:
    rabbit_tasks.plugin("tell.py", BROADCAST)
    workers = [rabbit_tasks.worker(f"-c 1 -n {name} -Q tell_all,celery,ranked,lazy") for name in ("one", "two")]
    with rabbit_tasks.sending():
        rabbit_tasks.module("tell").reload_cache.delay()
        for worker in workers:
            worker.wait_until_says("RELOADED")
    time.sleep(0.5)
    assert [worker.log.count("RELOADED") for worker in workers] == [1, 1]
    assert rabbitmq.queue(rabbit_tasks.broker, "lazy")["type"] == "classic"
    assert rabbitmq.queue(rabbit_tasks.broker, "celery")["type"] == "quorum"
    assert rabbitmq.queue(rabbit_tasks.broker, "ranked")["type"] == "classic"


def test_a_queue_that_rabbitmq_could_not_make_a_quorum_queue_is_none(tasks: TaskProject) -> None:
    tasks.plugin("tell.py", BROADCAST)
    tasks.broker = "pyamqp://localhost//"
    tasks.component()
    queues = application_of(tasks.project.prepare()).amqp.queues
    types = {name.partition(".")[0]: (queues[name].queue_arguments or {}).get("x-queue-type") for name in queues}
    assert types == {"bcast": None, "celery": "quorum", "ranked": None, "lazy": None, "mine": None}


@pytest.mark.docker
def test_a_queue_with_its_own_arguments_keeps_them(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    jobs.settings(
        CELERY_TASK_QUEUES={
            "celery": {},
            "short": {"queue_arguments": {"x-queue-type": "quorum", "x-delivery-limit": 1}},
            "old": {"queue_arguments": {"x-queue-type": "classic"}},
        }
    )
    jobs.worker()
    assert rabbitmq.queue(jobs.broker, "short")["arguments"]["x-delivery-limit"] == 1
    assert rabbitmq.queue(jobs.broker, "short")["arguments"]["x-dead-letter-routing-key"] == "opa.dead"
    assert rabbitmq.queue(jobs.broker, "old")["type"] == "classic"
    assert rabbitmq.queue(jobs.broker, "celery")["type"] == "quorum"


TYPO = """
from kombu import Queue

from opa import Hook


class Ours(Hook):
    name = "driver.celery.setup"

    def run(self, celery_app):
        celery_app.conf.task_queues = [Queue("ours", queue_arguments={"x-queue-type": "qourum"})]
        return celery_app
"""


def test_an_unknown_type_of_queue_in_a_hook_is_reported_with_its_file(tasks: TaskProject) -> None:
    file = tasks.plugin("ours.py", TYPO)
    with pytest.raises(OpaError, match=rf"queue 'ours' has the type 'qourum'.*{file}:7"):
        tasks.project.prepare()


def test_an_unknown_type_of_queue_in_the_settings_is_reported_with_its_file(tasks: TaskProject) -> None:
    tasks.settings(CELERY_TASK_QUEUES={"ours": {"queue_arguments": {"x-queue-type": "qourum"}}})
    with pytest.raises(OpaError, match=r"queue 'ours' has the type 'qourum'.*00-test\.json"):
        tasks.project.prepare()


@pytest.mark.docker
def test_a_confirmed_task_outlives_a_kill_of_rabbitmq_also_in_a_queue_that_was_just_made(
    project: Project, start_rabbitmq: Callable[[], RabbitMQ], redis_url: str
) -> None:
    server = start_rabbitmq()
    with task_project(project, broker=server.virtual_host(), backend=f"{redis_url}/2") as jobs:
        jobs.plugin("jobs.py", JOBS)
        with jobs.sending():
            add = jobs.module("jobs").add
            add.delay(0, 0)
            server.api("DELETE", f"/queues/{jobs.broker.rpartition('/')[2]}/celery")
            # The second finds a queue that the first has made at this moment.
            with ThreadPoolExecutor(2) as threads:
                sent = [threads.submit(add.delay, number, 0) for number in (1, 2)]
                wait(sent, return_when=FIRST_COMPLETED)
                server.kill()
            confirmed = {task.result().id for task in sent if task.exception() is None}
            assert confirmed
            server.start()
            with kombu.Connection(jobs.broker) as connection:
                queue = Queue("celery", channel=connection.default_channel)
                kept = {message.headers["id"] for message in iter(queue.get, None)}
            assert confirmed <= kept


@pytest.mark.docker
def test_a_queue_that_nobody_has_bound_yet_gets_the_task(jobs: TaskProject, rabbitmq: RabbitMQ) -> None:
    """As where the process that made it was killed before it had settled."""
    with kombu.Connection(jobs.broker) as connection:
        application_of(get_plugin_manager()).amqp.queues["celery"](connection.default_channel).queue_declare()
    jobs.module("jobs").add.delay(1, 2)
    wait_until(lambda: ready(jobs) == 1, what="it has come to its queue")


@pytest.mark.docker
def test_queues_that_a_worker_makes_settle_at_the_same_time(
    rabbit_tasks: TaskProject, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(queues, "time", SimpleNamespace(sleep=waits.append))
    rabbit_tasks.settings(CELERY_TASK_QUEUES={f"many{number}": {} for number in range(20)})
    rabbit_tasks.plugin("jobs.py", JOBS)
    with rabbit_tasks.sending():
        amqp = application_of(get_plugin_manager()).amqp
        with kombu.Connection(rabbit_tasks.broker) as connection:
            amqp.TaskConsumer(connection.default_channel)
        assert waits == [SETTLING]
        bindings = rabbitmq.api("GET", f"/bindings/{rabbit_tasks.broker.rpartition('/')[2]}")
        assert {f"many{number}" for number in range(20)} <= {each["routing_key"] for each in bindings if each["source"]}
        with kombu.Connection(rabbit_tasks.broker) as connection:
            amqp.TaskConsumer(connection.default_channel)
        assert waits == [SETTLING], "who finds them does not wait"


@pytest.mark.docker
def test_a_task_for_a_queue_of_another_type_is_refused_where_it_is_sent(jobs: TaskProject) -> None:
    with kombu.Connection(jobs.broker) as connection:
        Queue("celery", channel=connection.default_channel, durable=True).queue_declare()
    with pytest.raises(PreconditionFailed, match="celery"):
        jobs.module("jobs").add.delay(1, 2)
