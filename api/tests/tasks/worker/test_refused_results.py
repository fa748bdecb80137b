"""A redis that refuses to keep results: the password or the rights of its user were changed while a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from opa.tasks.application import TaskApplication
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from opa.tasks.brokers.redis_results import RESULT_BACKENDS
from opa.tasks.worker.refused_results import warn_where_refused
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.test_server_states import administrator, execute
from tests.tasks.workers import task_project


@contextmanager
def other_password(admin: Any) -> Iterator[str]:
    admin.config_set("requirepass", "another")
    execute(admin, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield "AuthenticationError"
    execute(admin, "AUTH", "another")
    admin.config_set("requirepass", "")


@contextmanager
def fewer_rights(admin: Any) -> Iterator[str]:
    execute(admin, "ACL", "SETUSER", "default", "-eval", "-evalsha")
    yield "NoPermissionError"
    execute(admin, "ACL", "SETUSER", "default", "+@all")


Refusal = Callable[[Any], AbstractContextManager[str]]


@pytest.mark.parametrize("refusal", [other_password, fewer_rights], ids=lambda refusal: refusal.__name__)
def test_results_wait_until_the_server_takes_them_and_a_line_says_what_to_check(
    project: Project, start_redis: Callable[[], Server], refusal: Refusal
) -> None:
    broker, results = start_redis(), start_redis()
    with task_project(project, broker=f"{broker.url}/1", backend=f"{results.url}/2") as tasks:
        tasks.plugin("jobs.py", "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n")
        worker = tasks.worker("-c 2")
        with tasks.sending(), administrator(results) as admin, administrator(broker) as queues:
            double = tasks.module("jobs").double
            assert double.delay(1).get(timeout=30) == 2
            with refusal(admin) as code:
                waiting = [double.delay(number) for number in range(5)]
                wait_until(lambda: worker.says(f"waits to be stored ({code}"), what=lambda: worker.log)
                assert worker.says("Check the user and the password in BACKEND_URL")
                # Until it is stored, its message is not acknowledged: another worker would take it.
                queues.select(1)
                assert queues.hlen("unacked") > 0
            assert [result.get(timeout=60) for result in waiting] == [2 * number for number in range(5)]
            assert worker.says("is stored")
            wait_until(lambda: not queues.hlen("unacked"))
            assert not queues.llen(DEAD_LETTER_QUEUE)
        assert worker.stop() == 0


@pytest.mark.parametrize("password", ["", ":wrong@"], ids=["no password", "another password"])
def test_a_worker_says_as_it_starts_that_its_results_are_refused(
    project: Project, start_redis: Callable[[], Server], password: str
) -> None:
    broker, results = start_redis(), start_redis()
    backend = results.url.replace("://", f"://{password}")
    with administrator(results) as admin, task_project(project, broker=f"{broker.url}/1", backend=backend) as tasks:
        admin.config_set("requirepass", "another")
        tasks.plugin("jobs.py", "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n")
        worker = tasks.worker("-c 1")
        worker.wait_until_says("redis refuses to keep the results of this worker (AuthenticationError")
        (line,) = [line for line in worker.lines if "refuses to keep the results" in line["message"]]
        assert line["level"] == "WARNING"
        assert "Check the user and the password in BACKEND_URL" in line["message"]
        assert worker.is_ready
        execute(admin, "AUTH", "another")
        admin.config_set("requirepass", "")
        assert worker.stop() == 0


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "cache+memory://", None])
def test_a_worker_says_nothing_of_results_that_are_away_or_elsewhere(
    url: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    app = TaskApplication()
    app.loader.override_backends = RESULT_BACKENDS
    app.conf.update(result_backend=url)
    warn_where_refused(app)
    assert "WARNING" not in capsys.readouterr().err
