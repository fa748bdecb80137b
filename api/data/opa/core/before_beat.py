"""The group `before_beat`: what beat waits for before it sends anything."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from opa.core.running import belonging_to
from opa.core.start_waits import note_step
from opa.errors import LifecycleError, OpaError
from opa.loading.conventions import BEFORE_BEAT_GROUP

if TYPE_CHECKING:
    from opa.core.groups import Member
    from opa.core.manager import PluginManager


async def run_before_beat(manager: PluginManager) -> None:
    """Call the members of the group, one after another.

    Raises:
        OpaError: one of them failed.
    """
    try:
        for member in manager.groups.members(BEFORE_BEAT_GROUP.name):
            note_step(f"'{member.uri}' of the group {BEFORE_BEAT_GROUP.name}")
            with belonging_to(manager):
                await _call(member)
    finally:
        note_step("")


async def _call(member: Member) -> None:
    try:
        result = member.value()
        if inspect.isawaitable(result):
            await result
    except OpaError:
        raise
    except Exception as error:
        raise LifecycleError(
            f"'{member.uri}' in the group '{BEFORE_BEAT_GROUP.name}' failed: {type(error).__name__}: {error}"
        ) from error


class WaitingBeside:
    """Calls them in a thread of its own: what blocks there does not keep the main thread from hearing of a signal.

    Attributes:
        done: when all of it is.
    """

    def __init__(self, manager: PluginManager) -> None:
        self.done: Future[None] = Future()
        self._manager = manager
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._is_given_up = False

    def begin(self) -> None:
        """Start the thread."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), name="before-beat", daemon=True).start()

    def cancel(self) -> None:
        """Give it up, as soon as it lets the loop turn."""
        self._is_given_up = True
        if self._loop is not None and self._waiting is not None:
            with suppress(RuntimeError):  # it has ended just now
                self._loop.call_soon_threadsafe(self._waiting.cancel)

    def _run(self) -> None:
        try:
            asyncio.run(self._wait())
        except BaseException as error:  # noqa: BLE001 - it is the main thread's
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    async def _wait(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting = asyncio.current_task()
        if self._is_given_up:  # before there was a task to cancel
            return
        await run_before_beat(self._manager)
