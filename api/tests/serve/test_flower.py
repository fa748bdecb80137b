from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.events.event import get_exchange as event_exchange

import opa as package
from opa import get_plugin_manager
from opa.errors import StartError
from opa.process.listen import listening_socket
from opa.serve.flower import serve as serve_flower
from opa.tasks.application import application_of
from tests.no_answer import NO_ANSWER
from tests.project import NOBODY, Project
from tests.serve.process import free_port, wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, Worker, task_project

HEALTH_CHECK = Path(package.__file__).with_name("healthcheck.py")


class Flower:
    """`opa start` with `MODE=flower`, as a process of its own."""

    def __init__(self, tasks: TaskProject, **environ: str) -> None:
        self.port = free_port()
        self.process: Worker = tasks.start(MODE="flower", OPA_FLOWER_PORT=str(self.port), **environ)

    def status(self, path: str, user: str = "", **headers: str) -> int:
        """The status of the answer; 0 where there is none."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        if user:
            request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except NO_ANSWER:
            return 0

    def wait_until_up(self) -> None:
        def up() -> bool:
            assert self.process.process.poll() is None, self.process.log
            return self.status("/healthcheck") == 200

        wait_until(up, what="flower answers")

    def json(self, path: str, user: str = "") -> Any:
        return json.loads(self.text(path, user))

    def text(self, path: str, user: str = "") -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: str = answer.read().decode()
        return found


@pytest.fixture
def tasks(project: Project, start_redis: Callable[[], Server]) -> Iterator[TaskProject]:
    url = start_redis().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
        yield tasks


def is_healthy(flower: Flower) -> bool:
    command = [sys.executable, "-I", str(HEALTH_CHECK)]
    environ = {"HEALTH_FILE": str(flower.process.health_file)}
    return subprocess.run(command, env=environ, check=False, timeout=20).returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_on_loopback_it_may_be_without_a_password(tasks: TaskProject, host: str) -> None:
    # An empty variable, as compose files make them, is none.
    flower = Flower(tasks, OPA_HOST=host, FLOWER_BASIC_AUTH="")
    flower.wait_until_up()
    assert flower.status("/") == 200
    assert is_healthy(flower)
    assert flower.process.stop() == 0
    assert not is_healthy(flower)


def test_elsewhere_nothing_is_shown_without_the_password(tasks: TaskProject) -> None:
    flower = Flower(tasks, OPA_HOST="0.0.0.0", FLOWER_BASIC_AUTH="mary:hunter2")
    flower.wait_until_up()
    for path in ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/workers", "/api/tasks"):
        assert flower.status(path) == 401, path
        assert flower.status(path, "mary:wrong") == 401, path
        assert flower.status(path, "mary:hunter2") == 200, path
    assert is_healthy(flower)
    assert "hunter2" not in flower.process.log


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_elsewhere_it_does_not_start_without_a_password(tasks: TaskProject, host: str) -> None:
    process = tasks.start(MODE="flower", OPA_HOST=host)
    assert process.wait() == 1
    (line,) = process.lines
    assert line["message"].startswith(f"flower would be open to everyone who can reach {host}")
    assert "FLOWER_BASIC_AUTH" in line["message"]


@pytest.mark.parametrize("password", ["mary", "mary:", ":secret", "mary:secret,john"])
def test_a_user_without_a_password_is_refused_and_nothing_is_shown_of_it(tasks: TaskProject, password: str) -> None:
    process = tasks.start(MODE="flower", OPA_HOST="0.0.0.0", FLOWER_BASIC_AUTH=password)
    assert process.wait() == 1
    (line,) = process.lines
    assert line["message"].startswith("FLOWER_BASIC_AUTH has no password in it")
    assert "secret" not in process.log


def test_the_password_is_read_from_a_file(tasks: TaskProject, tmp_path: Path) -> None:
    file = tmp_path / "flower"
    file.write_text("mary:hunter2\n")
    flower = Flower(tasks, OPA_HOST="0.0.0.0", FLOWER_BASIC_AUTH="", FLOWER_BASIC_AUTH__FILE=str(file))
    flower.wait_until_up()
    assert flower.status("/", "mary:wrong") == 401
    assert flower.status("/", "mary:hunter2") == 200


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "FLOWER_BASIC_AUTH: the file /nowhere/flower cannot be read: No such file or directory; mount it there"),
        ("mary:hunter2", "the password of flower is set twice, by the environment variables FLOWER_BASIC_AUTH and"),
    ],
)
def test_a_file_that_cannot_be_the_password_is_refused(tasks: TaskProject, password: str, problem: str) -> None:
    variables = {"FLOWER_BASIC_AUTH": password, "FLOWER_BASIC_AUTH__FILE": "/nowhere/flower"}
    process = tasks.start(MODE="flower", OPA_HOST="0.0.0.0", **variables)
    assert process.wait() == 1
    (line,) = process.lines
    assert line["message"].startswith(problem)
    assert "FLOWER_BASIC_AUTH__FILE" in line["message"]
    assert "hunter2" not in process.log


def test_flower_shows_workers_and_the_outcome_of_tasks(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n")
    flower = Flower(tasks, FLOWER_BASIC_AUTH="mary:hunter2")
    flower.wait_until_up()
    tasks.worker("-c 1")
    with tasks.sending():
        double = tasks.module("jobs").double

        def seen() -> bool:
            # Flower asks the workers for events every five seconds; what they do before is not seen.
            sent = double.delay(4)
            assert sent.get(timeout=30) == 8
            found = flower.json("/api/tasks", "mary:hunter2")
            return any(task["name"] == "jobs.double" and task["state"] == "SUCCESS" for task in found.values())

        wait_until(seen, what="flower shows the task")
    assert flower.json("/api/workers?refresh=1", "mary:hunter2")


def test_without_a_password_a_page_of_the_web_reads_and_does_nothing(tasks: TaskProject) -> None:
    flower = Flower(tasks, FLOWER_UNAUTHENTICATED_API="true", OPA_TRUSTED_HOSTS="['flower.example.com']")
    flower.wait_until_up()
    for path in ("/", "/tasks", "/tasks/datatable", "/metrics", "/api/workers", "/api/tasks"):
        # As where a page lets its own name lead to this machine.
        assert flower.status(path, Host="pages.example:5555") == 403, path
        assert flower.status(path, Origin="https://pages.example") == 403, path
        assert flower.status(path, Origin="null") == 403, path
    for host in (f"127.0.0.1:{flower.port}", f"localhost:{flower.port}", "flower.example.com"):
        assert flower.status("/tasks", Host=host) == 200, host
        assert flower.status("/tasks", Host=host, Origin=f"http://{host}") == 200, host


EVENT = {"type": "worker-heartbeat", "hostname": "celery@there", "clock": 1, "utcoffset": 0, "pid": 1, "freq": 2.0}
NO_EVENTS: list[Any] = [
    *(5, None, [], [[]], {}, {"type": 5}),
    *({**EVENT, field: value} for field in (*EVENT, "active", "loadavg", "timestamp") for value in ({"a": 1}, ["a"])),
    *({**EVENT, field: 2**70} for field in ("clock", "timestamp", "freq", "active")),
    {**EVENT, "event": 5, "heartbeats": 5, "id": 5},
    {**EVENT, "type": "task-received", "uuid": {"a": 1}},
    *(
        {**EVENT, "type": "task-succeeded", "uuid": f"u-{field}", "name": "jobs.double", field: value}
        for field in ("name", "args", "runtime", "eta", "expires", "result", "root_id", "event", "worker", "_fields")
        for value in (5.5, "x", {"a": 1}, ["a"], "\ud800")
    ),
]


def test_events_that_are_none_leave_its_pages_as_they_are(tasks: TaskProject) -> None:
    flower = Flower(tasks, FLOWER_BASIC_AUTH="mary:hunter2")
    flower.wait_until_up()
    with tasks.sending():
        app = application_of(get_plugin_manager())

        def send(event: Any) -> None:
            with app.connection_for_write() as connection, connection.Producer() as producer:
                # With the time, where the event does not say another one.
                body = {"timestamp": time.time(), **event} if isinstance(event, dict) else event
                exchange = event_exchange(connection)
                producer.publish(body, exchange=exchange, declare=[exchange], routing_key="worker.x", serializer="json")

        def seen() -> bool:
            send({**EVENT, "hostname": "celery@well"})
            return "celery@well" in flower.text("/workers?json=1", "mary:hunter2")

        wait_until(seen, seconds=30, what="flower hears events")
        for event in NO_EVENTS:
            send(event)
        send({**EVENT, "hostname": "celery@last"})
        wait_until(lambda: "celery@last" in flower.text("/workers?json=1", "mary:hunter2"), what="flower goes on")
    for path in ("/", "/tasks", "/metrics", "/api/tasks", "/api/workers"):
        assert flower.status(path, "mary:hunter2") == 200, path
    assert "Traceback" not in flower.process.log
    assert "Failed to capture" not in flower.process.log


def test_flower_writes_no_file(tasks: TaskProject) -> None:
    before = {file.name for file in tasks.folder.rglob("*")}
    flower = Flower(tasks)
    flower.wait_until_up()
    assert flower.process.stop() == 0
    after = {file.name for file in tasks.folder.rglob("*")}
    assert after - before <= {"worker-1.log", "worker-1-health.json", "__pycache__"}


def test_a_port_that_is_taken_is_reported_in_one_line(tasks: TaskProject) -> None:
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        process = tasks.start(MODE="flower", OPA_FLOWER_PORT=str(port))
        assert process.wait() == 1
    assert f"flower cannot listen on 127.0.0.1 port {port}: Address already in use" in process.log


def test_a_variable_of_kubernetes_is_harmless(tasks: TaskProject) -> None:
    flower = Flower(tasks, FLOWER_PORT="tcp://10.0.0.1:5555")
    flower.wait_until_up()


def test_under_a_prefix_it_is_healthy_too(tasks: TaskProject) -> None:
    flower = Flower(tasks, FLOWER_URL_PREFIX="watch")
    wait_until(lambda: flower.status("/watch/healthcheck") == 200)
    assert is_healthy(flower)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_root_does_not_run_the_options_of_another_user_that_happen_to_be_there(project: Project) -> None:
    options = project.plugin("flowerconfig.py", "open('ran', 'w')", folder=".")
    os.chown(options, NOBODY, NOBODY)
    with pytest.raises(StartError, match="root does not take options of flower that belong to user"):
        serve_flower(project.config())
    assert not (project.folder / "ran").exists()


def test_mode_flower_without_flower_says_in_one_line_what_installs_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flower", None)
    with pytest.raises(StartError) as caught:
        serve_flower(project.config())
    assert str(caught.value) == (
        "MODE=flower needs the package flower, which is not installed. Install it: pip install 'opa-stack[flower]'"
    )
