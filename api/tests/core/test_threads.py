from __future__ import annotations

import asyncio
import gc
from unittest import mock

import pytest

from opa.core.threads import SerialThread, start_on
from opa.logging.logger import log


async def fail() -> None:
    raise ZeroDivisionError("broken")


@pytest.mark.filterwarnings("error")
def test_nothing_is_started_on_an_event_loop_that_is_closed() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    start_on(loop, fail(), failure="it cannot be done")
    gc.collect()


def test_an_exception_of_a_coroutine_that_is_not_awaited_is_logged() -> None:
    said: list[str] = []
    sink = log.add(said.append, format="{message} {exception}")

    async def start() -> None:
        await asyncio.to_thread(start_on, asyncio.get_running_loop(), fail(), failure="it cannot be done")
        while not said:
            await asyncio.sleep(0.01)

    try:
        asyncio.run(asyncio.wait_for(start(), 10))
    finally:
        log.remove(sink)
    assert "it cannot be done" in said[0]
    assert "ZeroDivisionError: broken" in said[0]


async def started_at_last() -> int:
    thread = SerialThread("one")
    none_left = mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread"))
    with none_left, pytest.raises(RuntimeError, match="can't start"):
        await thread.run(lambda: 1)
    async with asyncio.timeout(60):
        return await thread.run(lambda: 2)


def test_a_thread_that_could_not_start_is_started_for_the_next_function() -> None:
    assert asyncio.run(started_at_last()) == 2
