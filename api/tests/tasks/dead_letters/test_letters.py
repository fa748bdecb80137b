"""The dead letters, on RabbitMQ and on redis alike."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kombu
import pytest
import redis
from kombu import Producer

from opa import get_plugin_manager
from opa.tasks.application import TaskApplication, application_of
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE, dead_letter_queue
from opa.tasks.dead_letters.letters import DeadLetter
from opa.tasks.dead_letters.reader import dead_letters
from tests import programs
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import wait_until
from tests.tasks.waiting import waiting
from tests.tasks.workers import TaskProject, task_project

JOBS = """
import os
import signal
from pathlib import Path

from opa import task

def note(text):
    with Path("runs.txt").open("a") as file:
        file.write(text + "\\n")

@task
def poison():
    note("poison")
    if not Path("antidote").exists():
        os.kill(os.getpid(), signal.SIGKILL)

@task
def good(number):
    note(f"good {number}")

@task
def login(user, password):
    pass
"""

WITH_RABBITMQ = pytest.param("rabbitmq", marks=pytest.mark.docker)


@pytest.fixture
def jobs(any_tasks: TaskProject) -> TaskProject:
    any_tasks.plugin("jobs.py", JOBS)
    any_tasks.settings(TASK_DELIVERY_LIMIT=2)
    return any_tasks


@contextmanager
def sending(tasks: TaskProject) -> Iterator[TaskApplication]:
    """The api in this process, with the queues declared, as a worker does it."""
    with tasks.sending():
        app = application_of(get_plugin_manager())
        with app.connection_for_write() as connection:
            if connection.transport.driver_type == "amqp":
                dead_letter_queue()(connection.default_channel).declare()
        yield app


def letters(app: TaskApplication) -> list[DeadLetter]:
    with dead_letters(app) as held:
        return [one.letter for one in held]


def refuse(app: TaskApplication, number: int = 1, queue: str = "celery") -> None:
    """Refuse messages, as a worker does with one that it cannot read."""
    before = len(letters(app))
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        for _ in range(number):
            channel.basic_reject(wait_until(lambda: channel.basic_get(queue)).delivery_tag, requeue=False)
    wait_until(lambda: len(letters(app)) == before + number, what="the messages are among the dead letters")


def opa_tasks(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opa.cli", "tasks", *arguments]
    return programs.run(command, input=answer)


def listed() -> list[dict[str, Any]]:
    done = opa_tasks("dead", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def runs(tasks: TaskProject) -> list[str]:
    file = tasks.folder / "runs.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_a_task_that_kills_its_worker_is_given_up_after_the_limit_and_the_others_run(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        jobs.worker("-c 2")
        module = jobs.module("jobs")
        sent = module.poison.delay()
        for number in range(10):
            module.good.delay(number)
        letter = wait_until(lambda: letters(app), what="it is given up")[0]
        wait_until(lambda: len(runs(jobs)) == 12, what="the good ones run")
    assert runs(jobs).count("poison") == 2
    assert (letter.id, letter.task, letter.queue) == (sent.id, "jobs.poison", "celery")
    assert (letter.reason, letter.deliveries, letter.problem) == ("delivery_limit", 2, "")
    assert letter.died is not None
    assert abs(letter.died.timestamp() - time.time()) < 120


def test_sent_again_it_has_all_its_deliveries_again(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        jobs.worker("-c 1")
        sent = jobs.module("jobs").poison.delay()
        first = wait_until(lambda: letters(app))[0]
        done = opa_tasks("retry", sent.id)
        assert (done.returncode, done.stdout) == (0, "sent again: 1\n")
        second = wait_until(lambda: len(runs(jobs)) == 4 and letters(app), what="it is given up again")[0]
        assert second.died is not None
        assert first.died is not None
        assert second.died >= first.died  # RabbitMQ says the second
        (jobs.folder / "antidote").touch()
        assert opa_tasks("retry", "--all").returncode == 0
        assert sent.get(timeout=60) is None
        assert letters(app) == []
    assert len(runs(jobs)) == 5


def test_a_pickle_is_refused_by_the_worker_and_listed_as_what_cannot_be_read(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        worker = jobs.worker("-c 1")
        jobs.module("jobs").good.apply_async((1,), serializer="pickle", task_id="pickled")
        wait_until(listed)
        (row,) = listed()
        assert (row["id"], row["task"], row["reason"]) == ("pickled", "jobs.good", "rejected")
        assert row["problem"] == "it is application/x-python-serialize, and a worker reads JSON alone"
        done = opa_tasks("retry", "--all")
        assert (done.returncode, done.stdout) == (1, "sent again: 0\n")
        assert done.stderr.startswith("pickled jobs.good stays, since it is application/x-python-serialize")
        assert len(letters(app)) == 1
        jobs.module("jobs").good.delay(2).get(timeout=60)
        assert worker.process.poll() is None
        assert opa_tasks("drop", "pickled", "--yes").stdout == "thrown away: 1\n"
        assert letters(app) == []


REJECTING = """
from celery.exceptions import Reject

from opa import task

@task
def picky():
    raise Reject("not this one", requeue=False)
"""


def test_rejected_and_unknown_tasks_are_kept(jobs: TaskProject) -> None:
    jobs.plugin("picky.py", REJECTING)
    with sending(jobs) as app:
        jobs.worker("-c 1")
        jobs.module("picky").picky.delay()
        app.send_task("elsewhere.run")
        found = wait_until(lambda: len(both := letters(app)) == 2 and both)
    assert {letter.task for letter in found} == {"picky.picky", "elsewhere.run"}
    assert {letter.reason for letter in found} == {"rejected"}


def test_looking_takes_none_away_however_often(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        for number in range(3):
            jobs.module("jobs").good.delay(number)
        refuse(app, 3)
        for _ in range(30):
            assert [letter.arguments for letter in letters(app)] == ["(0,)", "(1,)", "(2,)"]


def test_named_letters_are_sent_again_and_the_others_stay(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        first, second, third = [jobs.module("jobs").good.delay(number).id for number in range(3)]
        refuse(app, 3)
        done = opa_tasks("retry", first, third, "nobody")
        assert (done.returncode, done.stdout) == (1, "sent again: 2\n")
        assert done.stderr.endswith("\nnobody is not among the dead letters\n")
        audited = json.loads(done.stderr.splitlines()[0])
        assert (audited["logger"], audited["extra"]["what"]) == ("opa.audit", "tasks.retry")
        assert (audited["extra"]["count"], set(audited["extra"]["ids"])) == (2, {first, third})
        assert [letter.id for letter in letters(app)] == [second]
        jobs.worker("-c 1")
        wait_until(lambda: sorted(runs(jobs)) == ["good 0", "good 2"])


def test_a_letter_returns_to_its_queue_also_after_a_countdown(jobs: TaskProject) -> None:
    jobs.settings(CELERY_TASK_ROUTES={"jobs.good": {"queue": "slow"}})
    with sending(jobs) as app:
        jobs.worker("-c 1 -Q slow").stop()  # it declares the queues
        jobs.module("jobs").good.apply_async((1,), countdown=1)
        refuse(app, queue="slow")
        assert [letter.queue for letter in letters(app)] == ["slow"]
        assert opa_tasks("retry", "--all").returncode == 0
        jobs.worker("-c 1 -Q slow")
        wait_until(lambda: runs(jobs) == ["good 1"])


def test_arguments_are_shown_without_passwords_and_shortened(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        jobs.module("jobs").login.delay("mary", password="hunter2")
        jobs.module("jobs").login.delay("redis://u:hunter2@host/1", "x" * 500)
        refuse(app, 2)
        first, second = [letter.arguments for letter in letters(app)]
    assert first == "('mary',) {'password': '***'}"
    assert second.startswith("('redis://u:***@host/1', 'xxx")
    assert len(second) == 201
    assert "hunter2" not in opa_tasks("dead").stdout


def test_the_table_has_a_line_for_each(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        assert opa_tasks("dead").stdout == "no dead letters\n"
        sent = jobs.module("jobs").good.delay(7)
        refuse(app)
    done = opa_tasks("dead")
    assert done.returncode == 0, done.stderr
    table = done.stdout.strip().splitlines()
    assert table[0].split() == ["id", "task", "arguments", "queue", "deliveries", "reason", "died"]
    assert table[2].split()[:4] == [sent.id, "jobs.good", "(7,)", "celery"]
    assert "rejected" in table[2]


def test_dropping_all_dead_letters_asks_first(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        jobs.module("jobs").good.delay(1)
        refuse(app)
        done = opa_tasks("drop", "--all", answer="n\n")
        assert done.returncode == 1
        assert "Delete all dead letters?" in done.stdout
        assert len(letters(app)) == 1
        assert opa_tasks("drop", "--all", answer="y\n").returncode == 0
        assert letters(app) == []


@pytest.mark.parametrize("command", ["retry", "drop"])
@pytest.mark.parametrize("choice", [[], ["some", "--all"]])
def test_retry_and_drop_need_ids_or_all(tasks: TaskProject, command: str, choice: list[str]) -> None:
    done = opa_tasks(command, *choice)
    assert done.returncode == 2
    assert "name the ids, or give --all" in done.stderr


def test_a_message_that_is_no_task_is_listed_by_its_content(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        jobs.module("jobs").good.delay(1)
        refuse(app)
        assert opa_tasks("retry", "--all").returncode == 0
        with app.connection_for_write() as connection:
            Producer(connection).publish({"no": "task"}, routing_key="celery")
        refuse(app, 2)
        (row,) = [row for row in listed() if not row["task"]]
        assert row["id"].startswith("sha256:")
        assert row["problem"] == "it names no task"
        assert opa_tasks("drop", row["id"], "--yes").returncode == 0
        assert len(letters(app)) == 1


@pytest.mark.parametrize("any_tasks", [WITH_RABBITMQ], indirect=True)
def test_a_dead_letter_whose_queue_is_gone_stays(any_tasks: TaskProject, rabbitmq: RabbitMQ) -> None:
    any_tasks.plugin("jobs.py", JOBS)
    with sending(any_tasks) as app:
        jobs = any_tasks.module("jobs")
        kept = jobs.good.delay(1)
        jobs.good.apply_async((2,), queue="gone")
        refuse(app)
        refuse(app, queue="gone")
        rabbitmq.api("DELETE", f"/queues/{any_tasks.broker.rpartition('/')[2]}/gone")
        done = opa_tasks("retry", "--all")
        assert (done.returncode, done.stdout) == (1, "sent again: 1\n")
        assert "stays, since the queue 'gone' is gone" in done.stderr
        assert [letter.queue for letter in letters(app)] == ["gone"]
        assert waiting(any_tasks.broker, "celery") == [kept.id]


@pytest.mark.parametrize("any_tasks", [WITH_RABBITMQ], indirect=True)
def test_on_rabbitmq_without_any_worker_yet_there_are_none(any_tasks: TaskProject) -> None:
    assert opa_tasks("dead", "--json").stdout == "[]\n"


def test_a_broker_that_does_not_answer_is_reported_in_one_line(project: Project) -> None:
    with task_project(project, broker="redis://:hunter2@127.0.0.1:1/1", backend="redis://127.0.0.1:1/2"):
        done = opa_tasks("dead")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the broker redis://:***@127.0.0.1:1/1 does not answer: ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_opa_tasks_says_that_the_celery_component_is_off(project: Project) -> None:
    done = opa_tasks("dead")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: opa tasks dead needs a component with the driver 'celery', and there is none; "
        "component 'celery' is not loaded: LOAD is no (setting OPTIONAL_COMPONENTS.CELERY)"
    )


def test_a_prefix_for_all_keys_holds_for_the_dead_letters_too(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", JOBS)
    tasks.settings(CELERY_BROKER_TRANSPORT_OPTIONS={"global_keyprefix": "mine:"})
    with sending(tasks) as app:
        jobs = tasks.module("jobs")
        jobs.good.apply_async((1,), priority=9)
        refuse(app)
        with redis.Redis.from_url(tasks.broker) as client:
            assert client.llen(f"mine:{DEAD_LETTER_QUEUE}") == 1
        assert opa_tasks("retry", "--all").returncode == 0
        tasks.worker("-c 1")
        wait_until(lambda: runs(tasks) == ["good 1"])


def put_bad_letters(tasks: TaskProject) -> int:
    """Put letters among the dead ones that nobody could read; how many."""
    if tasks.broker.startswith("redis"):
        client = redis.Redis.from_url(tasks.broker)
        bad: list[bytes] = [
            b"not JSON",
            b"5",
            b"{}",
            b'{"headers": {}}',
            b"\xff\x1b[2J",
            b"[" * 5000,
            b'{"body": 5, "headers": 5}',
        ]
        client.lpush(DEAD_LETTER_QUEUE, *bad)
        return len(bad)
    headers: list[dict[str, Any]] = [
        {"x-death": 5},
        {"x-death": [5]},
        {"id": {}, "task": []},
        {"argsrepr": 5, "kwargsrepr": {"a": 1}},
        {"argsrepr": "(" * 5000, "task": "a", "id": "b"},
        {"compression": "nobody"},
    ]
    with kombu.Connection(tasks.broker) as connection:
        producer = Producer(connection)
        for one in headers:
            producer.publish(b"\xff", routing_key=DEAD_LETTER_QUEUE, headers=one, content_type="application/json")
    return len(headers)


def test_a_letter_that_cannot_be_read_is_shown_as_that_and_holds_up_no_other(jobs: TaskProject) -> None:
    with sending(jobs) as app:
        kept = jobs.module("jobs").good.delay(1)
        refuse(app)
        count = put_bad_letters(jobs)
        last = jobs.module("jobs").good.delay(2)
        refuse(app)
        rows = listed()
        assert len(rows) == count + 2
        assert sum(bool(row["problem"]) for row in rows) == count
        assert all(row["id"] for row in rows)
        done = opa_tasks("retry", "--all")
        assert (done.returncode, done.stdout) == (1, "sent again: 2\n")
        assert sorted(waiting(jobs.broker, "celery")) == sorted([kept.id, last.id])
        assert opa_tasks("drop", rows[1]["id"], "--yes").returncode == 0
        assert opa_tasks("drop", "--all", "--yes").stdout == f"thrown away: {count - 1}\n"
        assert letters(app) == []


def test_more_letters_than_are_read_at_a_time_are_all_there(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", JOBS)
    with sending(tasks) as app:
        client = redis.Redis.from_url(tasks.broker)
        for number in range(120):
            client.lpush(DEAD_LETTER_QUEUE, f"letter {number}")
        with dead_letters(app) as held:
            for number, one in enumerate(held):
                if number % 3 == 0:
                    client.lpush(DEAD_LETTER_QUEUE, "came meanwhile")
                    one.drop()
        left: Any = client.lrange(DEAD_LETTER_QUEUE, 0, -1)
        assert sorted(left) == sorted(
            [*[b"letter %d" % number for number in range(120) if number % 3], *[b"came meanwhile"] * 40]
        )


def test_on_redis_a_message_that_comes_back_and_leads_to_no_queue_is_kept(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", JOBS)
    with sending(tasks) as app:
        sent = tasks.module("jobs").good.delay(1)
        with app.connection_for_write() as connection:
            channel: Any = connection.default_channel
            payload = channel._get("celery")
            with channel.conn_or_acquire() as client:
                pipe = client.pipeline()
                channel.restore_message(payload, "celery", "nowhere", pipe)
                pipe.execute()
        (letter,) = letters(app)
        assert (letter.id, letter.reason, letter.queue) == (sent.id, "unroutable", "nowhere")
