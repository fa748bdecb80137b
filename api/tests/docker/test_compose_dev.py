"""The development stack: docker-compose.dev.yml on top of docker-compose.yml."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.docker.dap import DapClient
from tests.docker.engine import HELLO, Answer, Stack, running, write_plugin
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


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("dev"), image, dev=True)
    stack.leave_out("redis", "mongo", "rabbitmq")
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="world"))
    write_plugin(stack.plugins, "double.py", DOUBLE.format(note="first"))
    with running(stack):
        yield stack


def test_a_changed_plugin_is_served_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("api", "{{.State.StartedAt}}")
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="moon"))
    stack.wait_for("/hello", "moon")
    assert stack.inspect("api", "{{.State.StartedAt}}") == started


def test_a_mistake_in_a_plugin_is_shown_and_mended_without_a_restart(stack: Stack) -> None:
    write_plugin(stack.plugins, "hello.py", "def broken(:\n")
    wait_until(lambda: "starts again after the next change" in stack.log)
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


def attached(stack: Stack) -> DapClient:
    debugger = DapClient("127.0.0.1", stack.debugger_port)
    debugger.attach(
        local_root=str(stack.plugins), remote_root="/plugins", breakpoints={str(stack.plugins / "double.py"): [LINE]}
    )
    return debugger


def assert_stops_and_shows_values(stack: Stack, debugger: DapClient) -> None:
    answers: list[Answer] = []
    caller = threading.Thread(target=lambda: answers.append(stack.get("/double?number=21")))
    caller.start()
    variables = debugger.variables_where_stopped()
    assert (variables["number"], variables["answer"]) == ("21", "42")
    debugger.resume()
    caller.join()
    assert answers == [Answer(200, 42)]


def test_a_debugger_stops_at_a_breakpoint_also_after_a_reload(stack: Stack) -> None:
    with attached(stack) as debugger:
        assert_stops_and_shows_values(stack, debugger)
        listens = stack.log.count("a debugger can attach on")
        write_plugin(stack.plugins, "double.py", DOUBLE.format(note="second"))
        wait_until(lambda: stack.log.count("a debugger can attach on") == listens + 1, what="it listens again")
        wait_until(lambda: stack.get("/readyz", timeout=2).status == 200)
        with attached(stack) as again:
            assert_stops_and_shows_values(stack, again)
