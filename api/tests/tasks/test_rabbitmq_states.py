"""A RabbitMQ that answers, and does not do its work, or from which something was deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

import pytest

from tests.rabbitmq import RabbitMQ
from tests.serve.process import wait_until
from tests.tasks.states import Running, Since, check_lines, run
from tests.tasks.workers import lasting_task_project

pytestmark = pytest.mark.docker

USER = "tasks"
PERMISSIONS = {"configure": ".*", "write": ".*", "read": ".*"}


class Broker:
    """A virtual host, and a user for it."""

    def __init__(self, rabbitmq: RabbitMQ) -> None:
        self.rabbitmq = rabbitmq
        self.virtual_host = urlsplit(rabbitmq.virtual_host()).path.strip("/")
        self.password("right")
        self.permit(PERMISSIONS)
        self.url = f"pyamqp://{USER}:right@127.0.0.1:{rabbitmq.port}/{self.virtual_host}"

    def password(self, password: str) -> None:
        self.rabbitmq.api("PUT", f"/users/{USER}", {"password": password, "tags": ""})

    def permit(self, permissions: dict[str, str]) -> None:
        self.rabbitmq.api("PUT", f"/permissions/{self.virtual_host}/{USER}", permissions)

    def delete(self, kind: str, name: str) -> None:
        self.rabbitmq.api("DELETE", f"/{kind}/{self.virtual_host}/{name}")

    def close_connections(self) -> None:
        self.rabbitmq.control("close_all_connections", "--vhost", self.virtual_host, "a test")


@contextmanager
def memory_alarm(broker: Broker) -> Iterator[None]:
    broker.rabbitmq.control("set_vm_memory_high_watermark", "0.00000001")
    wait_until(lambda: broker.rabbitmq.has_alarm)
    try:
        yield
    finally:
        broker.rabbitmq.control("set_vm_memory_high_watermark", "0.6")


@contextmanager
def disk_alarm(broker: Broker) -> Iterator[None]:
    broker.rabbitmq.control("set_disk_free_limit", "1000000000000000")
    wait_until(lambda: broker.rabbitmq.has_alarm)
    try:
        yield
    finally:
        broker.rabbitmq.control("set_disk_free_limit", "50MB")


@contextmanager
def stopped(broker: Broker) -> Iterator[None]:
    broker.rabbitmq.control("stop_app")
    try:
        yield
    finally:
        broker.rabbitmq.control("start_app")


@contextmanager
def other_password(broker: Broker) -> Iterator[None]:
    broker.password("another")
    broker.close_connections()
    try:
        yield
    finally:
        broker.password("right")


@contextmanager
def no_permission(broker: Broker) -> Iterator[None]:
    broker.permit(dict.fromkeys(PERMISSIONS, ""))
    broker.close_connections()
    try:
        yield
    finally:
        broker.permit(PERMISSIONS)


@contextmanager
def no_virtual_host(broker: Broker) -> Iterator[None]:
    """With it goes what it held, also what is in delivery."""
    broker.rabbitmq.api("DELETE", f"/vhosts/{broker.virtual_host}")
    try:
        yield
    finally:
        broker.rabbitmq.api("PUT", f"/vhosts/{broker.virtual_host}", {})
        broker.permit(PERMISSIONS)


State = Callable[[Broker], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def broker(rabbitmq: RabbitMQ) -> Broker:
    return Broker(rabbitmq)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, broker: Broker, redis_url: str) -> Iterator[Running]:
    with lasting_task_project(tmp_path_factory, broker=broker.url, backend=f"{redis_url}/12") as tasks:
        yield run(tasks)


@pytest.mark.parametrize(
    "state",
    [memory_alarm, disk_alarm, stopped, other_password, no_permission, no_virtual_host],
    ids=lambda state: state.__name__,
)
def test_worker_beat_and_api_live_through_a_state_of_rabbitmq(running: Running, broker: Broker, state: State) -> None:
    name = state.__name__
    names = [f"{name} {number}" for number in range(20)]
    go = running.tasks.folder / "go"
    go.unlink(missing_ok=True)
    worker, beat = Since(running.worker), Since(running.beat)
    with running.tasks.sending() as api:
        jobs = running.tasks.module("jobs")
        results = [jobs.long_job.delay(f"{name} long"), *(jobs.job.delay(name) for name in names)]
        wait_until(lambda: f"{name} long begins" in running.done())
        with state(broker):
            for number in range(3):
                before = time.monotonic()
                answer = api.post(f"/jobs/{name}-meanwhile-{number}")
                assert time.monotonic() - before < 10
                assert answer.status_code == 503, answer.text
            wait_until(lambda: beat.says("beat cannot send for now"))
            if "alarm" in name:
                go.touch()
                assert [result.get(timeout=90) for result in results] == [f"{name} long", *names]
            else:
                wait_until(lambda: worker.says("broker lost"))
        go.touch()
        if state is not no_virtual_host:
            assert [result.get(timeout=90) for result in results] == [f"{name} long", *names]
        wait_until(lambda: beat.says("beat goes on"))
        wait_until(lambda: not worker.says("broker lost") or worker.says("the worker takes tasks again"))
        wait_until(lambda: api.post(f"/jobs/{name}-again").status_code == 200)
        jobs.job.delay(f"{name} afterwards").get(timeout=60)
    check_lines(worker, beat)


def test_a_deleted_queue_is_created_again_and_running_tasks_continue(running: Running, broker: Broker) -> None:
    go = running.tasks.folder / "go"
    go.unlink(missing_ok=True)
    worker, beat = Since(running.worker), Since(running.beat)
    with running.tasks.sending():
        jobs = running.tasks.module("jobs")
        running_one = jobs.long_job.delay("outlasts its queue")
        wait_until(lambda: "outlasts its queue begins" in running.done())
        broker.delete("queues", "celery")
        assert jobs.job.delay("in the new queue").get(timeout=90) == "in the new queue"
        assert jobs.job.apply_async(("after a while",), countdown=1).get(timeout=90) == "after a while"
        go.touch()
        assert running_one.get(timeout=90) == "outlasts its queue"
    assert running.done().count("outlasts its queue begins") == 1
    assert worker.says("the queue 'celery' is gone")
    check_lines(worker, beat)


def test_a_task_for_a_deleted_queue_waits_in_a_new_one(running: Running, broker: Broker) -> None:
    """No worker takes from it, which would make it anew."""
    with running.tasks.sending():
        jobs = running.tasks.module("jobs")
        jobs.job.apply_async(("gone with its queue",), queue="nobody")
        broker.delete("queues", "nobody")
        jobs.job.apply_async(("waits",), queue="nobody")
        assert len(broker.rabbitmq.messages(broker.url, "nobody")) == 1


def test_deleted_exchanges_and_queues_of_countdowns_are_created_again(running: Running, broker: Broker) -> None:
    with running.tasks.sending():
        jobs = running.tasks.module("jobs")
        assert jobs.job.apply_async(("first",), countdown=1).get(timeout=90) == "first"
        for level in (27, 0):
            broker.delete("exchanges", f"celery_delayed_{level}")
        broker.delete("queues", "celery_delayed_0")
        assert jobs.job.apply_async(("second",), countdown=1).get(timeout=90) == "second"
        broker.delete("exchanges", "celery")
        broker.delete("queues", "opa.dead")
        assert jobs.job.delay("third").get(timeout=90) == "third"
