"""The development stack: docker-compose.dev.yml on top of docker-compose.yml."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.docker.dap import DapClient
from tests.docker.engine import COMPOSE_DEV_FILE, HELLO, Answer, Stack, running, write_plugin
from tests.serve.process import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

DOUBLE = """
from opa import get_router

router = get_router()


@router.get("/double")
def double(number: int):
    answer = 2 * number
    return answer  # {note}
"""
LINE = DOUBLE.split("\n").index("    return answer  # {note}") + 1


TASKS = """
from opa import get_router, task

router = get_router()


@task
def triple(number: int):
    answer = 3 * number
    return answer  # {note}


@router.get("/triple")
async def ask(number: int):
    return [await (await triple.send(number)).get(timeout=60), "{note}"]
"""
TASK_LINE = TASKS.split("\n").index("    return answer  # {note}") + 1


TICK = """
from opa import get_instance, get_router, task

router = get_router()


@task(schedule=1)
def {word}():
    get_instance("walrus").incr("{word}")


@router.get("/ticks/{{word}}")
def ticks(word: str) -> int:
    return int(get_instance("walrus").get(word) or 0)
"""


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("dev"), image, COMPOSE_DEV_FILE)
    stack.leave_out("mongo")
    write_plugin(stack.plugins, "tripling.py", TASKS.format(note="first"))
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="world"))
    write_plugin(stack.plugins, "double.py", DOUBLE.format(note="first"))
    with running(stack):
        yield stack


def test_a_changed_plugin_is_served_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("api", "{{.State.StartedAt}}")
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="moon"))
    stack.wait_for("/hello", "moon")
    assert stack.inspect("api", "{{.State.StartedAt}}") == started


def test_a_mistake_in_a_plugin_is_shown_and_fixed_without_a_restart(stack: Stack) -> None:
    write_plugin(stack.plugins, "hello.py", "def broken(:\n")
    wait_until(lambda: "restarts when a file changes" in stack.log)
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="sun"))
    stack.wait_for("/hello", "sun")


def test_a_change_of_the_package_is_served(stack: Stack) -> None:
    write_plugin(
        stack.folder / "api/data/opa/plugins", "extra.py", HELLO.format(word="extra").replace("hello", "extra")
    )
    stack.wait_for("/extra", "extra")


def test_the_demo_plugins_are_there(stack: Stack) -> None:
    assert stack.get("/demo/hello").status == 200


def test_an_error_shows_the_values_of_variables(stack: Stack) -> None:
    text = DOUBLE.format(note="").replace("double", "fails").replace("2 * number", "number / (number - number)")
    write_plugin(stack.plugins, "fails.py", text)
    wait_until(lambda: stack.get("/fails?number=4711", timeout=5).status == 500)
    wait_until(lambda: "ZeroDivisionError" in stack.log)
    assert "└ 4711" in stack.log


def attached(stack: Stack, port: int, file: str, line: int) -> DapClient:
    debugger = DapClient("127.0.0.1", port)
    debugger.attach(
        local_root=str(stack.plugins), remote_root="/plugins", breakpoints={str(stack.plugins / file): [line]}
    )
    return debugger


def assert_stops_and_shows_values(stack: Stack, debugger: DapClient, path: str, answer: int) -> list[Answer]:
    answers: list[Answer] = []
    caller = threading.Thread(target=lambda: answers.append(stack.get(f"{path}?number=21")))
    caller.start()
    variables = debugger.variables_where_stopped()
    assert (variables["number"], variables["answer"]) == ("21", str(answer))
    debugger.resume()
    caller.join()
    return answers


def test_a_debugger_stops_at_a_breakpoint_also_after_a_reload(stack: Stack) -> None:
    place = (stack.debugger_port, "double.py", LINE)
    with attached(stack, *place) as debugger:
        assert assert_stops_and_shows_values(stack, debugger, "/double", 42) == [Answer(200, 42)]
        listens = stack.log.count("a debugger can attach on")
        write_plugin(stack.plugins, "double.py", DOUBLE.format(note="second"))
        wait_until(lambda: stack.log.count("a debugger can attach on") == listens + 1, what="it listens again")
        wait_until(lambda: stack.get("/readyz", timeout=2).status == 200)
        with attached(stack, *place) as again:
            assert assert_stops_and_shows_values(stack, again, "/double", 42) == [Answer(200, 42)]


def test_a_changed_task_is_run_as_changed_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("worker", "{{.State.StartedAt}}")
    stack.wait_for("/triple?number=2", [6, "first"])
    write_plugin(stack.plugins, "tripling.py", TASKS.format(note="second").replace("3 * number", "number + 3"))
    stack.wait_for("/triple?number=2", [5, "second"])
    assert stack.inspect("worker", "{{.State.StartedAt}}") == started
    write_plugin(stack.plugins, "tripling.py", TASKS.format(note="first"))
    stack.wait_for("/triple?number=2", [6, "first"])


def has_run(stack: Stack, word: str) -> bool:
    answer = stack.get(f"/ticks/{word}")
    return answer.status == 200 and answer.body > 0


def test_a_changed_schedule_holds_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("beat", "{{.State.StartedAt}}")
    write_plugin(stack.plugins, "ticking.py", TICK.format(word="tick"))
    wait_until(lambda: has_run(stack, "tick"), seconds=40, what="the schedule of the new plugin holds")
    write_plugin(stack.plugins, "ticking.py", TICK.format(word="tock"))
    wait_until(lambda: has_run(stack, "tock"), seconds=40, what="the changed schedule holds")
    assert stack.inspect("beat", "{{.State.StartedAt}}") == started


def test_a_debugger_stops_in_a_task_of_the_worker(stack: Stack) -> None:
    stack.wait_for("/triple?number=2", [6, "first"])
    with attached(stack, stack.worker_debugger_port, "tripling.py", TASK_LINE) as debugger:
        answers = assert_stops_and_shows_values(stack, debugger, "/triple", 63)
    assert answers == [Answer(200, [63, "first"])]


def flower(stack: Stack, path: str, password: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{stack.flower_port}{path}")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_flower_shows_the_worker_to_those_who_have_the_password(stack: Stack) -> None:
    assert flower(stack, "/workers")[0] == 401
    assert flower(stack, "/workers", "flower:wrong")[0] == 401
    host = stack.inspect("worker", "{{.Config.Hostname}}")
    wait_until(
        lambda: f"celery@{host}" in flower(stack, "/workers", "flower:flower")[1], what="flower shows the worker"
    )
