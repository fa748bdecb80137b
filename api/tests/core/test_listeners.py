from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from opa import log
from opa.core.listeners import Listeners
from tests.project import Project
from tests.servers import wait_until

PLUGIN = """
import asyncio
import threading
from opa import register

calls, released = [], threading.Event()

@register("on_it")
def first(event):
    calls.append(("first", event))
    raise SystemExit("password=hunter2")

@register("on_it")
def hangs(event):
    calls.append(("hangs", event))
    released.wait(60)

@register("on_it")
async def hangs_too(event):
    calls.append(("hangs_too", event))
    await asyncio.sleep(60)

@register("on_it")
async def last(event):
    calls.append(("last", event, asyncio.get_running_loop()))
"""


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = log.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    log.remove(sink)


@pytest.fixture
def plugin(project: Project) -> Iterator[Any]:
    project.plugin("told.py", PLUGIN)
    project.prepare()
    module = __import__("told")
    yield module
    module.released.set()


def test_each_member_is_told_whatever_becomes_of_the_others_and_each_has_one_line(plugin: Any, said: list[str]) -> None:
    listeners, done = Listeners(time_limit=0.5), threading.Event()
    for number in range(3):
        listeners.tell("on_it", number, done.set if number == 2 else None)
    assert listeners.wait_until_told(60)
    assert done.is_set()
    names = [(call[0], call[1]) for call in plugin.calls]
    assert [number for name, number in names if name == "last"] == [0, 1, 2]
    assert [number for name, number in names if name == "hangs"] == [0]  # it is not called while it hangs
    lines = "".join(said)
    assert len(said) == 3
    assert "'told.first' failed: SystemExit" in lines
    assert "hunter2" not in lines
    assert "'told.hangs' has not ended within 0.5 s" in lines
    assert "'told.hangs_too' failed: it has not ended in time" in lines


def test_an_async_member_runs_on_the_loop_of_the_process(plugin: Any) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listeners = Listeners(lambda: loop, time_limit=0.5)
    listeners.tell("on_it", 1)
    assert listeners.wait_until_told(60)
    assert [call[2] for call in plugin.calls if call[0] == "last"] == [loop]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_telling_waits_for_nothing_and_what_is_too_much_is_said(
    plugin: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa.core.listeners.MOST_WAITING", 5)
    listeners = Listeners(time_limit=0.2)
    for number in range(100):
        listeners.tell("on_it", number)
    assert listeners.wait_until_told(60)
    assert sum("5 wait to be told to 'told.hangs' already" in line for line in said) == 1
    assert sum("has not ended within" in line for line in said) <= 1  # one line a minute


def test_a_member_that_hangs_delays_no_other(plugin: Any) -> None:
    listeners = Listeners(time_limit=60)
    for number in range(10):
        listeners.tell("on_it", number)
    wait_until(lambda: [call[1] for call in plugin.calls if call[0] == "last"] == list(range(10)))
