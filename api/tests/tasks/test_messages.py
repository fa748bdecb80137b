"""Messages that are no tasks, and tasks that Celery cannot run: they are kept, and the worker goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import NotRegistered
from kombu import Producer

from opa import get_plugin_manager
from opa.errors import TaskTooLargeError
from opa.tasks.application import TaskApplication, application_of
from opa.tasks.codec import Limits
from opa.tasks.dead_letters.letters import DeadLetter
from opa.tasks.dead_letters.reader import dead_letters
from opa.tasks.messages import UnfitMessageError, check_headers, read_body
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, Worker, task_project

JOBS = """
from typing import Any

from celery.worker.request import Request

from opa import get_instance, get_router, task

router = get_router()


@task
def echo(*args, **kwargs):
    return [list(args), kwargs]


@task
def hungry():
    return bytes(2**62)


@task
def abyss():
    value = []
    for _ in range(500):
        value = [value]
    return value


@task
def outlasting(file):
    import pathlib
    import time

    pathlib.Path(file).touch()
    while pathlib.Path(file).exists():
        time.sleep(0.05)
    return "done"


class BadRequest(Request):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.request_dict["unpicklable"] = lambda: "nobody foresaw this"


@task(Request="jobs:BadRequest")
def unhandled():
    pass


@task
def unstored():
    return "never stored"


def ready():
    backend = get_instance("celery").backend
    mark_as_done = backend.mark_as_done

    def fail_for_one(task_id, result, *args, **kwargs):
        if result == "never stored":
            raise ValueError("nobody foresaw this either")
        return mark_as_done(task_id, result, *args, **kwargs)

    backend.mark_as_done = fail_for_one


@router.post("/echo")
async def send(body: Any = None) -> Any:
    return await (await echo.send(body)).get(timeout=60)
"""
ROUTES_BODY = JOBS.replace("body: Any = None", "body: Any = Body(None)").replace(
    "from typing import Any\n", "from typing import Any\n\nfrom fastapi import Body\n"
)


@pytest.fixture
def jobs(any_tasks: TaskProject) -> TaskProject:
    any_tasks.plugin("jobs.py", ROUTES_BODY)
    return any_tasks


@contextmanager
def running(jobs: TaskProject) -> Iterator[tuple[Worker, TaskApplication, Any]]:
    """A worker, the application and a client of the api; the worker still takes tasks in the end."""
    with jobs.sending() as client:
        worker = jobs.worker()
        yield worker, application_of(get_plugin_manager()), client
        if worker.process.poll() == 0:
            return  # the test has stopped it
        assert jobs.module("jobs").echo.delay(1).get(timeout=60) == [[1], {}]
        assert worker.process.poll() is None


def letters(app: TaskApplication) -> list[DeadLetter]:
    with dead_letters(app) as held:
        return [one.letter for one in held]


def one_letter(app: TaskApplication) -> DeadLetter:
    (letter,) = wait_until(lambda: letters(app), what="there is a dead letter")
    return letter


def test_a_dict_that_a_client_sends_arrives_as_it_is(jobs: TaskProject) -> None:
    sent = [{"__type__": "decimal", "__value__": "1"}, {"__type__": "nobody", "__value__": []}, {"a": [None, 1.5]}]
    with running(jobs) as (_, _, client):
        assert client.post("/echo", json=sent).json() == [[sent], {}]


def test_more_than_a_task_can_carry_is_answered_with_413_and_reaches_no_worker(jobs: TaskProject) -> None:
    jobs.settings(TASK_MAX_DEPTH=20, TASK_MAX_BYTES=1000)
    with running(jobs) as (_, _, client):
        for body in ("[" * 21 + "]" * 21, json.dumps("x" * 1000)):
            answer = client.post("/echo", content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 413
            assert answer.json() == {"detail": "this is too large, or nested too deeply, for the task that it starts"}


def test_more_than_a_task_can_carry_is_refused_however_it_is_sent(jobs: TaskProject) -> None:
    jobs.settings(TASK_MAX_DEPTH=20)
    deep: Any = 1
    for _ in range(21):
        deep = [deep]
    with jobs.sending():
        echo, app = jobs.module("jobs").echo, application_of(get_plugin_manager())
        for send in (
            lambda: echo.delay(deep),
            lambda: echo.apply_async(kwargs={"named": deep}),
            echo.s(deep).delay,
            lambda: app.send_task("jobs.echo", [deep]),
            (echo.s(1) | echo.s(deep)).delay,
        ):
            with pytest.raises(TaskTooLargeError, match=r"task 'jobs\.echo' .*TASK_MAX_DEPTH is 20.*jobs\.py:\d+"):
                send()


def test_a_task_without_memory_fails_alone(jobs: TaskProject) -> None:
    with running(jobs), pytest.raises(MemoryError):
        jobs.module("jobs").hungry.delay().get(timeout=60)


def test_a_result_that_is_nested_too_deeply_is_a_failure_of_its_task(jobs: TaskProject) -> None:
    with running(jobs), pytest.raises(Exception, match="nested too deeply"):
        jobs.module("jobs").abyss.delay().get(timeout=60)


def test_a_task_that_cannot_be_handed_to_a_process_is_kept(jobs: TaskProject) -> None:
    with running(jobs) as (worker, app, _):
        sent = jobs.module("jobs").unhandled.delay()
        assert one_letter(app).id == sent.id
        assert worker.says("it cannot be handled (")
        assert jobs.module("jobs").echo.delay(1).get(timeout=60) == [[1], {}]
        assert worker.stop() == 0


def test_a_task_whose_result_cannot_be_stored_is_kept(jobs: TaskProject) -> None:
    with running(jobs) as (worker, app, _):
        sent = jobs.module("jobs").unstored.delay()
        assert one_letter(app).id == sent.id
        assert worker.says("has run, and its end cannot be noted (ValueError)")


def test_a_task_that_no_plugin_has_is_kept_and_its_arguments_stay_out_of_the_log(jobs: TaskProject) -> None:
    with running(jobs) as (worker, app, _):
        sent = app.send_task("nobody.knows", args=["my-password"], kwargs={"token": "hunter2"})
        assert one_letter(app).id == sent.id
        with pytest.raises(NotRegistered):
            sent.get(timeout=60)
        assert worker.says("no plugin of this worker has the task 'nobody.knows'")
        assert "my-password" not in worker.log
        assert "hunter2" not in worker.log


def test_an_event_or_command_that_cannot_be_read_is_dropped(any_tasks: TaskProject) -> None:
    any_tasks.plugin("jobs.py", ROUTES_BODY)
    with any_tasks.sending():
        app = application_of(get_plugin_manager())
        worker = any_tasks.start(CELERY_PARAMS="-c 1")  # with gossip and mingle
        worker.wait_until_ready(seconds=60)
        worker.wait_until_says(" ready.")  # now the exchanges of events and commands are there
        with app.connection_for_write() as connection:
            producer = Producer(connection)
            bodies: list[Any] = [
                5,
                None,
                {"a": 1},
                [],
                {"method": 5, "arguments": 5},
                {"method": "ping", "reply_to": 5},
            ]
            for body in bodies:
                producer.publish(body, exchange="celery.pidbox", routing_key="", serializer="json")
                producer.publish(body, exchange="celeryev", routing_key="worker.heartbeat", serializer="json")
            producer.publish(b"not JSON", exchange="celery.pidbox", routing_key="", content_type="application/json")
            producer.publish(b"not JSON", exchange="celeryev", routing_key="worker.x", content_type="application/json")
            packed = {"compression": "gzip"}  # it says so, and is not
            producer.publish(b"x", exchange="celeryev", routing_key="worker.x", headers=packed)
            producer.publish(b"x", exchange="celery.pidbox", routing_key="", headers=packed)
        for number in range(3):
            assert any_tasks.module("jobs").echo.delay(number).get(timeout=60) == [[number], {}]
        assert worker.process.poll() is None
        assert "Control command error" not in worker.log


def test_an_expired_task_ends_no_other_where_its_end_cannot_be_stored(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    broker, results = start_redis(), start_redis()
    with task_project(project, broker=f"{broker.url}/1", backend=f"{results.url}/2") as tasks:
        tasks.plugin("jobs.py", ROUTES_BODY)
        worker = tasks.worker("-c 2")
        with tasks.sending():
            jobs = tasks.module("jobs")
            results.kill()
            running = jobs.outlasting.delay(str(tasks.folder / "runs"))
            wait_until((tasks.folder / "runs").exists, what="a task runs")
            jobs.echo.apply_async((1,), expires=datetime.now(UTC) - timedelta(seconds=5))
            wait_until(lambda: worker.says("was expired cannot be stored"), what="the worker has met the expired one")
            assert not worker.says("Connection to broker lost")
            (tasks.folder / "runs").unlink()
            results.start()
            assert running.get(timeout=60) == "done"
        assert worker.process.poll() is None


LIMITS = Limits(bytes=1000, depth=10)
HEADERS = {"task": "jobs.echo", "id": "some-id"}


@pytest.mark.parametrize(
    ("headers", "body", "problem"),
    [
        ({}, b"[[], {}, {}]", "it names no task"),
        ({}, b"{}", "it names no task"),
        ({}, b'{"task": 5}', "'task' should be a text"),
        (HEADERS, b"5", "its content is not a list of arguments, named arguments and options"),
        (HEADERS, b"[]", "its content is not a list of arguments, named arguments and options"),
        (HEADERS, b"[5, {}, {}]", "its arguments are an int, not a list"),
        (HEADERS, b"[[], [], {}]", "its named arguments are not a dict"),
        (HEADERS, b"[[], {}, 5]", "its options are an int, not a dict"),
        (HEADERS, b'[[], {}, {"chain": [5]}]', "'chain' is not a list of tasks"),
        (HEADERS, b'[[], {}, {"chord": {}}]', "'chord' is not a task"),
        (HEADERS, b"nonsense", "its content is not JSON"),
        (HEADERS, b"\xff", "its content is not JSON"),
        (HEADERS, b"[" * 990, "its content is not JSON"),
        (HEADERS, b"[[" + b"[" * 11 + b"]" * 11 + b"], {}, {}]", "TASK_MAX_DEPTH is 10"),
        (HEADERS, b'[["' + b"x" * 1000 + b'"], {}, {}]', "TASK_MAX_BYTES is 1000"),
        (HEADERS, None, "it has no content"),
        (5, b"", "its headers are an int"),
        (HEADERS | {"id": {}}, b"", "'id' should be a text"),
        (HEADERS | {"id": None}, b"", "'id' should be a text"),
        (HEADERS | {"id": "\ud800"}, b"", "'id' should be a text"),
        (HEADERS | {"group": "\ud800"}, b"", "'group' should be a text"),
        (HEADERS | {"retries": "1"}, b"", "'retries' should be a count"),
        (HEADERS | {"eta": "tomorrow"}, b"", "'eta' should be a time"),
        (HEADERS | {"eta": "0001-01-01T00:00:00+14:00"}, b"", "'eta' should be a time"),
        (HEADERS | {"timelimit": [1, "2"]}, b"", "'timelimit' should be two numbers of seconds"),
        (HEADERS | {"callbacks": [5]}, b"", "'callbacks' is not a list of tasks"),
        (HEADERS | {"x": [[[[[[[[[[[[]]]]]]]]]]]]}, b"", "its header 'x' is nested too deeply"),
    ],
)
def test_a_bad_message_is_told_with_its_problem_and_without_its_content(headers: Any, body: Any, problem: str) -> None:
    def check() -> None:
        check_headers(headers, LIMITS)
        read_body(headers, "application/json", body, LIMITS)

    with pytest.raises(UnfitMessageError, match=problem):
        check()


def test_a_message_of_protocol_1_is_a_task_too() -> None:
    body = json.dumps({"task": "jobs.echo", "id": "some-id", "args": [1], "kwargs": {}}).encode()
    check_headers({}, LIMITS)
    assert read_body({}, "application/json", body, LIMITS)["args"] == [1]
