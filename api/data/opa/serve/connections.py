"""The connections of a process, all together: how many there are, which are looked after, and which must go."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Set
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from opa.http.cors import Cors
from opa.http.health_paths import METHODS, health_paths
from opa.http.limits import Limit, chosen
from opa.logging.refusal_log import refusals
from opa.process.file_limit import are_exhausted, most_connections
from opa.serve.answer import Heads
from opa.serve.turns import Turns

if TYPE_CHECKING:
    import asyncio

    from opa.serve.access import AccessLog
    from opa.serve.left import Left
    from opa.settings.load import Config

IDLE_SEARCH_INTERVAL = 0.1
"""Seconds at least between two searches for idle connections, which look at all there are."""
STALL_LIMIT = 5.0
"""Seconds without a look at the connections after which the process itself was held up, as at a breakpoint: then it is
nobody's fault that nothing has gone on."""
EMERGENCY_CLOSES = 16
"""Connections that are closed at once where the descriptors are exhausted."""


class LookedAfter(Protocol):
    """A connection, or what goes on when its client has gone.

    Attributes:
        since: when it has last got on; time of the event loop.
    """

    since: float

    def look_after(self, now: float) -> None:
        """End it, where it does not get on."""


class Connection(LookedAfter, Protocol):
    """A connection, of which no request is lost where it is dropped while it may go."""

    def can_go(self) -> bool:
        """Whether it may go."""

    def drop(self) -> None:
        """Close it at once."""


class Connections:
    """What the connections of a process share.

    There is no timer for a connection or a request. `sweep` looks at all of them once a second, and each notes itself
    what it was doing and since when. A limit in seconds may therefore be a second late.

    Args:
        config: reads the settings of the section "Limits".
        health: the paths that are answered however much there is to do; by default the health routes of the api.

    Attributes:
        newcomers: those that have not sent a whole request yet, the oldest first.
        lingering: how many wait for their last answer to arrive.
        websocket_tasks: how many routes of websockets are at work, some of them after their client has gone.
        turns: in which they take in what they get, where it is much.
        left: what goes on after its client has gone, the oldest first.
        heads: of answers that have just begun.
        access_log: writes a line for each request; None where there is none.
    """

    def __init__(self, config: Config, health: frozenset[str] | None = None) -> None:
        self.header_bytes: int = config.MAX_HEADER_BYTES
        self.headers = chosen(config.MAX_HEADERS, None)
        self.header_time = chosen(config.HEADER_TIMEOUT, None)
        self.body_time = chosen(config.BODY_TIMEOUT, None)
        self.discarded_bytes = chosen(config.MAX_BODY_BYTES, None)
        self.idle_time = chosen(config.IDLE_TIMEOUT, None)
        self.requests = chosen(config.MAX_REQUESTS, None)
        self.connections = chosen(config.MAX_CONNECTIONS, None)
        self.queue: int = config.WEBSOCKET_MAX_QUEUE
        self._request_time: float | None = config.REQUEST_TIMEOUT
        self.cors = Cors.from_config(config)
        self.heads = Heads()
        self._health = {path.encode() for path in (health_paths(config) if health is None else health)}
        self.newcomers: OrderedDict[Connection, None] = OrderedDict()
        self.lingering = 0
        self.websocket_tasks = 0
        self.turns = Turns()
        self.left: dict[asyncio.Task[Any], Left] = {}
        self.access_log: AccessLog | None = None
        self._all: Set[Any] = frozenset()
        self._idle: deque[Connection] = deque()
        self._found_idle = 0.0
        self._swept = 0.0

    def open(self, connections: Set[Any]) -> None:
        """Take the limit of open files into account; called in the process that serves.

        Args:
            connections: uvicorn's set of all connections, with websockets among them.
        """
        self._all = connections
        most = most_connections()
        if most is not None:
            self.connections = min(self.connections, most)

    def request_time(self, said: Limit) -> float:
        """Seconds until an answer must have begun, of a route that says `said`."""
        return chosen(said, self._request_time)

    def time_of_body(self, said: Limit) -> float:
        """Seconds for a body to arrive, or to get on, of a route that says `said`."""
        return chosen(said, self.body_time)

    def is_health(self, method: str, url: bytes) -> bool:
        """Whether a request is for a health route, which is answered however much there is to do."""
        return method in METHODS and url.partition(b"?")[0] in self._health

    def make_room(self) -> bool:
        """Close a connection that no request is lost with, and say whether there was one.

        One that has not sent a request goes first, the oldest of them, so that someone who opens many and says nothing
        takes the places of their own; then one that has been idle for longest.
        """
        # The newest is the one that room is made for.
        if len(self.newcomers) > 1:
            oldest, _ = self.newcomers.popitem(last=False)
            oldest.drop()
            refusals.note("more connections than MAX_CONNECTIONS or the limit of open files: silent ones are closed")
            return True
        if not self._idle and time.monotonic() - self._found_idle > IDLE_SEARCH_INTERVAL:
            self._find_idle()
        while self._idle:
            idle = self._idle.popleft()
            if idle.can_go():
                idle.drop()
                refusals.note("more connections than MAX_CONNECTIONS or the limit of open files: idle ones are closed")
                return True
        refusals.note("more connections than MAX_CONNECTIONS or the limit of open files (503)")
        return False

    def has_just_come(self) -> bool:
        """Whether a request is probably on its way, on a connection that is younger than the last sweep."""
        return any(not newcomer.since for newcomer in self.newcomers)

    def sweep(self, now: float) -> None:
        """Look after each connection; called once a second.

        Args:
            now: time of the event loop.
        """
        looked_after: list[LookedAfter] = [*self._all, *self.left.values()]
        if self._swept and now - self._swept > STALL_LIMIT:
            for connection in looked_after:
                connection.since += now - self._swept
        self._swept = now
        for connection in looked_after:
            try:
                connection.look_after(now)
            except Exception as error:  # noqa: BLE001 - such as an endpoint that raises where it is asked for its limits
                refusals.note(f"a connection could not be looked after: {error!r}")
        self._end_what_too_many_have_left()
        self._find_idle()
        if are_exhausted():
            refusals.note("no more files can be opened, so new connections are closed; raise the limit (ulimit -n)")
            for _ in range(EMERGENCY_CLOSES):
                self.make_room()
        refusals.say_rest()

    def _end_what_too_many_have_left(self) -> None:
        """End the oldest websockets beyond as many as there may be requests: nothing else bounds them."""
        websockets = [left for left in self.left.values() if left.is_websocket]
        for left in websockets[: int(max(0, len(websockets) - self.requests))]:
            refusals.note("more websockets than MAX_REQUESTS went on after their clients had gone: the oldest end")
            left.end()

    def _find_idle(self) -> None:
        self._idle = deque(sorted((one for one in self._all if one.can_go()), key=attrgetter("since")))
        self._found_idle = time.monotonic()
