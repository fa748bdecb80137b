"""What may be `def` runs in a thread, which keeps no process from ending."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

import pytest

from opa.plugins.migrations.calls import called


def test_who_is_interrupted_does_not_wait_for_the_thread() -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(20)
        ended.set()

    async def interrupted() -> None:
        task = asyncio.ensure_future(called(work))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert not ended.is_set()
    release.set()


def test_what_is_raised_arrives_also_what_may_not_be_awaited() -> None:
    with pytest.raises(RuntimeError, match="it raised StopIteration"):
        asyncio.run(asyncio.wait_for(called(lambda: next(iter(()))), 60))
    with pytest.raises(SystemExit):
        asyncio.run(called(sys.exit))
