"""The life of an application in a test: started on an event loop, and stopped on it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from anyio.from_thread import start_blocking_portal

from opa._compat.anyio import abandon
from opa.current import current
from opa.errors import OpaError
from opa.http.in_process import Lifespan

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from opa.http.application import Api

__tracebackhide__ = True  # for pytest, which shows the line of the test

Result = TypeVar("Result")


class Life:
    """An application that is started once: on the event loop of a thread of its own, or on one that runs.

    Attributes:
        state: what its lifespan has given to its requests.
        portal: the way to the loop of the thread; None where it has none.
        loop: on which it runs; None before it has started, and after it has stopped.
    """

    def __init__(self, app: Api) -> None:
        self.portal: BlockingPortal | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._manager = app.manager
        self._lifespan = Lifespan(app)
        self.state = self._lifespan.state
        self._beside = ExitStack()
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether it runs on the event loop that runs in this thread."""
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def start_beside(self) -> None:
        """Start it in a thread of its own.

        Raises:
            OpaError: a plugin does not start, or a component does not connect.
        """
        if self.portal is None:
            self.portal = self._beside.enter_context(start_blocking_portal())
            try:
                self.portal.call(self.start_here)
            except BaseException:
                self._end_portal()
                raise

    def stop_beside(self) -> None:
        """Stop it where it runs in a thread of its own.

        Raises:
            OpaError: a plugin does not stop as it should.
        """
        if self.portal is None:
            return
        if self._process != os.getpid():  # the test has forked: that thread is not here, and would be waited for
            abandon(self.portal)
            self.loop = None
            self._end_portal()
            return
        try:
            self.portal.call(self.stop_here)
        finally:
            self._end_portal()

    def _end_portal(self) -> None:
        self.portal = None
        self._beside.close()

    async def start_here(self) -> None:
        """Start it on the event loop that runs.

        Raises:
            OpaError: a plugin does not start, or a component does not connect.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise OpaError(
                "an application runs on asyncio alone, and this test does not",
                hint='With AnyIO: a fixture anyio_backend that returns "asyncio"',
            ) from None
        await self._lifespan.start()
        self.loop = loop
        self._lend_to_tasks(loop)

    async def stop_here(self) -> None:
        """Stop it on the event loop that runs.

        Raises:
            OpaError: a plugin does not stop as it should.
        """
        self.loop = current.task_loop = None
        await self._lifespan.stop()

    async def here(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function on the event loop that runs, and await what it gives if that has to be awaited."""
        result = function(*args, **kwargs)
        return await result if hasattr(result, "__await__") else result

    def _lend_to_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._manager.tasks.are_used:
            from opa.tasks.worker.loop import BorrowedLoop

            current.task_loop = BorrowedLoop(self._manager, loop, threading.current_thread())
