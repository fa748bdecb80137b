"""The group `request_observers`: what is told of each request that the application has got, such as for metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opa.core.running import running_manager
from opa.http.request_facts import ACTOR, MOUNTED_AT, OF_FASTAPI
from opa.loading import conventions
from opa.logging.logger import log

if TYPE_CHECKING:
    from starlette.types import Scope

    from opa.access.actor import Actor
    from opa.core.manager import PluginManager
    from opa.http.request_facts import KnownRoutes, RoutePlace

    _Recorder = Callable[[RoutePlace, str, int], Callable[[float], object] | None]

GROUP = conventions.REQUEST_OBSERVERS_GROUP.name
TOLD_EVERY = 60.0
"""Seconds between two lines of the log about an observer that fails."""
MORE_TO_TELL = (ACTOR, MOUNTED_AT, OF_FASTAPI)
"""Keys of scopes. Of a request that has one, more is to be told than its route, method and status."""
MOST = 20_000
"""Of those that record a kind of request: who makes up methods may not fill the memory."""
CLIENT_GONE = 499
"""The status of a request whose client was gone before there was an answer; other servers log it so too."""


class RequestObserver:
    """A member of the group. Its methods are called in the event loop, and must not wait; none of them need be there.

    What they raise is written to the log, and changes nothing for the request.
    """

    def began(self, scope: Scope) -> None:
        """A request, or the handshake of a websocket, has come.

        Args:
            scope: that of ASGI.
        """

    def ended(self, scope: Scope, status: int, seconds: float, place: RoutePlace, actor: Actor | None) -> None:
        """It is answered, and what the application does for it is over.

        Args:
            scope: that of ASGI. It has the key `opa.rate_limits` where a rate limit has counted the request.
            status: of the answer; 499 where the client was gone before there was one. Of a websocket, 101 where it was
                accepted, or the status with which it was refused.
            seconds: that it took, from when the application got it until that was over.
            place: its route and plugin. It is the same object for each request of a route; where no route was found,
                both are None.
            actor: who has sent it, where that was asked for.
        """

    def recorder(self, place: RoutePlace, method: str, status: int) -> Callable[[float], object] | None:
        """What is called with the seconds of each further request that is like this one, in the place of `ended`.

        It is the cheaper way for what needs to know no more, and is used where the observer is the only one. `ended`
        still hears of the first such request, of those whose actor was asked for, and of websockets.

        Args:
            place: its route and plugin.
            method: that of HTTP, as the client has sent it: it may be any text.
            status: of the answer.

        Returns:
            None where `ended` is to be called.
        """


class Observers:
    """Those of an application.

    Args:
        members: the objects of the group.
        routes: tells the route and the plugin of a request.
        going_on: counts what goes on.

    Attributes:
        going_on: the same; whoever tells of websockets counts there, and of requests where `is_counted_here`.
        hears_of_begin: whether a member has a method `began`.
        records: what is called with the seconds of a request in the place of `ended`, by the id of its route, its
            method and the status of its answer. Whoever tells of requests looks there first: each call costs the hello
            route more than it seems. They are for scopes without `ACTOR` and `MOUNTED_AT`.
    """

    def __init__(self, members: list[RequestObserver], routes: KnownRoutes, going_on: GoingOn) -> None:
        self._began = [member.began for member in members if _overrides(member, "began")]
        told = [member for member in members if _overrides(member, "ended")]
        self._ended = [member.ended for member in told]
        self._recorder = told[0].recorder if len(told) == 1 and _overrides(told[0], "recorder") else None
        self._routes = routes
        self.records: dict[tuple[int, str | None, int], Callable[[float], object]] = {}
        routes.when_forgotten.append(self.records.clear)
        self.going_on = going_on
        self.hears_of_begin = bool(self._began)
        self._told: dict[int, float] = {}

    def began(self, scope: Scope) -> None:
        """A request has come; called where `hears_of_begin`."""
        for began in self._began:
            try:
                began(scope)
            except Exception as error:  # noqa: BLE001 - whoever looks on disturbs nobody
                self.failed(began, error)

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """A request is over that none of the `records` is for."""
        place = self._routes.place(scope)
        actor = scope[ACTOR].actor if ACTOR in scope else None
        for ended in self._ended:
            try:
                ended(scope, status, seconds, place, actor)
            except Exception as error:  # noqa: BLE001 - as above
                self.failed(ended, error)
        if self._recorder is None or "method" not in scope or any(map(scope.get, MORE_TO_TELL)):
            return
        # Only a route that is kept has an id of its own. It is found by it in what follows.
        key = id(scope.get("route"))
        if self._routes.by_route.get(key) is not place or len(self.records) >= MOST:
            return
        try:
            record = self._recorder(place, scope["method"], status)
        except Exception as error:  # noqa: BLE001 - as above
            self.failed(self._recorder, error)
        else:
            if record is not None:
                self.records[key, scope["method"], status] = record

    def failed(self, method: Callable[..., object], error: Exception) -> None:
        """Write to the log that an observer has failed, now and then."""
        now = time.monotonic()
        if now >= self._told.get(id(method), 0.0):
            self._told[id(method)] = now + TOLD_EVERY
            name = f"{method.__module__}.{getattr(method, '__qualname__', method)}"
            log.opt(exception=error).error(f"{name} of the group {GROUP} failed: {type(error).__name__}: {error}")


class GoingOn:
    """What this process is answering, where there is an observer.

    Attributes:
        requests: those that are not websockets, where `is_counted_here`.
        websockets: from the handshake on.
        is_counted_here: whether `requests` is counted, as no server does.
    """

    __slots__ = ("_of_server", "is_counted_here", "requests", "websockets")

    def __init__(self) -> None:
        self.requests = 0
        self.websockets = 0
        self.is_counted_here = True
        self._of_server: Callable[[], int] = lambda: 0

    def count_in_server(self, requests: Callable[[], int]) -> None:
        """Ask the server from now on.

        It knows its requests anyway, and to count them once more costs the hello route half a percent.

        Args:
            requests: how many it is answering, without websockets.
        """
        self._of_server = requests
        self.is_counted_here = False

    def all_requests(self) -> int:
        """Those that are not websockets."""
        # Another thread may ask, between two numbers of which the server makes it.
        return self.requests + max(0, self._of_server())


def requests_in_flight() -> tuple[int, int]:
    """How many requests this process is answering, and how many websockets are open; counted for observers alone."""
    found = going_on_in(running_manager())
    return found.all_requests(), found.websockets


def going_on_in(manager: Any) -> GoingOn:
    """What the process answers for the application of these plugins."""
    found: GoingOn = manager.kept.setdefault(__name__, GoingOn())
    return found


def observers_of(manager: PluginManager, routes: KnownRoutes) -> Observers | None:
    """Those of an application; None where there are none."""
    members: list[Any] = list(manager.groups.get(GROUP).values())
    return Observers(members, routes, going_on_in(manager)) if members else None


def _overrides(member: RequestObserver, name: str) -> bool:
    return getattr(type(member), name, None) is not getattr(RequestObserver, name)
