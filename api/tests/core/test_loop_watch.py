"""Which plugin holds the event loop is named; and nobody is who does not."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from opa.core import loop_watch
from opa.core.loop_watch import LoopWatch
from tests.serve.process import wait_until

CODE = """
import time, hashlib, pdb
import helper_library

def sleep(): time.sleep(0.6)
def through_library(): helper_library.wait()
def compute():
    end = time.thread_time() + 0.5
    while time.thread_time() < end: pass
def hash_much():
    end = time.thread_time() + 0.5
    while time.thread_time() < end: hashlib.pbkdf2_hmac("sha256", b"x", b"y", 1000)
"""


class Plugins:
    """Stands for the manager: the module `reports` is a plugin."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def plugin_of_module(self, module: str) -> str | None:
        return {"reports": "reports"}.get(module)


def module(name: str, text: str) -> ModuleType:
    made = ModuleType(name)
    exec(compile(text, f"/plugins/{name}.py", "exec"), made.__dict__)
    return made


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(
        sys.modules, "helper_library", module("helper_library", "import time\n\ndef wait(): time.sleep(0.6)")
    )
    return module("reports", CODE)


def watched(*steps: Callable[[], Awaitable[object]], limit: float = 0.2) -> tuple[list[str], dict[Any, Any]]:
    """What is told while the steps run one after another, and what is counted."""
    told: list[str] = []
    plugins = Plugins()

    async def run() -> None:
        watch = LoopWatch(plugins, limit, told.append)
        watch.start()
        await asyncio.sleep(0.15)
        for step in steps:
            await step()
            await asyncio.sleep(0.3)
        watch.stop()

    asyncio.run(run())
    return told, plugins.kept.get(loop_watch.__name__, {})


def calling(function: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        function()

    return step


def test_who_holds_the_loop_is_named_with_the_line_and_counted_each_time(reports: ModuleType) -> None:
    told, counted = watched(
        calling(reports.sleep), calling(reports.sleep), calling(reports.compute), calling(reports.through_library)
    )

    assert len(told) == 3, "the first twice within a minute, and so once"
    assert re.match(
        r"plugin 'reports' held the event loop for 0\.[5-9] s, and all else waited: /plugins/reports\.py:5 in sleep\. ",
        told[0],
    )
    assert "/plugins/reports.py:" in told[1]
    assert "in compute" in told[1]
    assert "/plugins/reports.py:6 in through_library, inside of /plugins/helper_library.py:3 in wait" in told[2]
    count, seconds = counted["reports"]
    assert count == 4
    assert 1.5 < seconds < 20


def test_a_place_is_named_again_when_its_minute_is_over(reports: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watch, "TOLD_EVERY", 0.0)
    told, counted = watched(calling(reports.sleep), calling(reports.sleep))

    assert len(told) == counted["reports"][0] == 2
    assert told[0].partition(" held")[0] == told[1].partition(" held")[0]


def test_who_holds_the_loop_is_counted_also_where_another_call_follows_at_once(reports: ModuleType) -> None:
    async def two_calls() -> None:
        # In one turn of the loop, as where requests wait: it notes no time between them.
        loop = asyncio.get_running_loop()
        loop.call_soon(reports.sleep)
        loop.call_soon(time.sleep, 0.15)
        await asyncio.sleep(0)

    told, counted = watched(two_calls)

    assert len(told) == 1
    assert "/plugins/reports.py:5 in sleep" in told[0]
    assert counted["reports"][0] == 1


def test_what_waits_as_it_should_is_not_named(reports: ModuleType) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(0.6)

    async def many_short_calls() -> None:
        # In one turn of the loop, each by another: it is late, and nobody holds it.
        def short() -> None:
            end = time.thread_time() + 0.01
            while time.thread_time() < end:
                pass

        loop = asyncio.get_running_loop()
        for _ in range(60):
            loop.call_soon(short)
        await asyncio.sleep(0)

    async def in_thread() -> None:
        await asyncio.to_thread(reports.sleep)

    told, counted = watched(sleeps, many_short_calls, in_thread)

    assert told == []
    assert counted == {}


def test_code_of_no_plugin_and_the_garbage_collector_are_named_as_such() -> None:
    def library() -> None:
        time.sleep(0.6)

    def collects() -> None:
        gc.callbacks.insert(0, slow)
        gc.collect()
        gc.callbacks.remove(slow)

    def slow(phase: str, _info: object) -> None:
        if phase == "stop":
            time.sleep(0.6)

    told, counted = watched(calling(library), calling(collects))

    assert told[0].startswith("code of no plugin held the event loop")
    assert f"{__file__}" in told[0]
    assert told[1].startswith("the garbage collector held the event loop")
    assert counted[None][0] == 2


def test_a_call_that_goes_on_is_named_while_it_does(reports: ModuleType) -> None:
    reports.__dict__["END"] = threading.Event()
    exec("def wait_long(): END.wait(30)", reports.__dict__)
    told: list[str] = []

    async def run() -> None:
        watch = LoopWatch(Plugins(), 0.2, told.append)
        watch.start()
        await asyncio.sleep(0.15)
        threading.Thread(target=lambda: (wait_until(lambda: told), reports.END.set())).start()
        reports.wait_long()
        await asyncio.sleep(0.3)
        watch.stop()

    asyncio.run(run())

    assert len(told) == 1
    assert re.search(r"held the event loop for \d\.\d s so far", told[0])


STOPPED = """
import asyncio, sys, time
from opa.core.loop_watch import LoopWatch

class Plugins:
    kept = {}
    def plugin_of_module(self, module):
        return "main"

def work():
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        pass

async def main():
    watch = LoopWatch(Plugins(), 0.2, lambda text: print("TOLD", text, flush=True))
    watch.start()
    print("runs", flush=True)
    end = time.thread_time() + 1.5
    while time.thread_time() < end:
        work()
        await asyncio.sleep(0)
    watch.stop()

asyncio.run(main())
"""


def test_a_process_that_was_stopped_or_starved_names_nobody(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        for _ in range(3):
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(0.4)
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.1)
        assert process.stdout.read() == ""


@pytest.mark.parametrize("is_stopped", [True, False], ids=["the watch is stopped", "nobody stops it"])
def test_the_watch_of_a_thread_that_has_ended_ends_as_well_and_says_nothing(
    is_stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, told, looking = list[Any](), list[str](), list[threading.Thread]()
    monkeypatch.setattr(threading, "excepthook", errors.append)
    start = threading.Thread.start

    def start_later(thread: threading.Thread) -> None:
        looking.append(thread) if thread.name == "loop-watch" else start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)

    async def run() -> None:
        watch = LoopWatch(Plugins(), 0.2, told.append)
        watch.start()
        if is_stopped:
            watch.stop()

    loop_thread = threading.Thread(target=lambda: asyncio.run(run()))
    loop_thread.start()
    loop_thread.join()
    wait_until(lambda: not Path(f"/proc/self/task/{loop_thread.native_id}").exists(), what="it is gone")
    (watching,) = looking
    start(watching)
    watching.join(60)
    assert not watching.is_alive()
    assert (errors, told) == ([], [])
