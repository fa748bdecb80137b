"""What goes on after its client has gone: it may for as long as a request may take, and not forever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from opa.http.limits import Limit, limits_of
from opa.logging.refusal_log import refusals

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Shared(Protocol):
    """The connections of the process."""

    left: dict[asyncio.Task[Any], Left]

    def request_time(self, said: Limit) -> float:
        """Seconds that a request may take, of a route that says `said`."""


class Left:
    """A route whose client has gone.

    Args:
        shared: the connections of the process.
        task: what runs the route.
        scope: that of the request.

    Attributes:
        since: when it was left; time of the event loop.
        is_websocket: whether it is one.
    """

    def __init__(self, shared: Shared, task: asyncio.Task[Any], scope: Any) -> None:
        self._shared = shared
        self._task = task
        self._scope = scope
        self._answers = False
        self.is_websocket = scope["type"] == "websocket"
        self.since = asyncio.get_running_loop().time()
        shared.left[task] = self
        task.add_done_callback(self._forget)

    @classmethod
    def request(cls, shared: Shared, cycle: RequestResponseCycle) -> None:
        """Look after a request that is not answered; what goes on behind an answer may go on forever."""
        left = cls(shared, cycle.task, cycle.scope)  # type: ignore[attr-defined]
        cycle.flow = left  # type: ignore[assignment]

    @property
    def write_paused(self) -> bool:
        """Read by uvicorn when there is an answer, which goes nowhere."""
        self._answers = True
        return False

    def look_after(self, now: float) -> None:
        """End it, where it has gone on for longer than a request may take."""
        most = self._shared.request_time(limits_of(self._scope.get("endpoint")).time)
        if not self._answers and now - self.since > most:
            refusals.note("a route went on for too long after its client had gone, see REQUEST_TIMEOUT")
            self.end()

    def end(self) -> None:
        """Cancel it; once, for it may take its time."""
        self._forget(self._task)
        self._task.cancel("REQUEST_TIMEOUT")

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._shared.left.pop(task, None)
