"""The group `request_observers`: what is told of each request that the application has got, such as for metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opa.core.running import running_manager
from opa.http.request_facts import ACTOR, MOUNTED_AT, route_in
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
        going_on: the same; whoever tells of requests counts there.
        hears_of_begin: whether a member has a method `began`.
        ended: called with the scope, the status and the seconds of a request that is over.
    """

    def __init__(self, members: list[RequestObserver], routes: KnownRoutes, going_on: GoingOn) -> None:
        self._began = [member.began for member in members if _overrides(member, "began")]
        told = [member for member in members if _overrides(member, "ended")]
        recorder = told[0].recorder if len(told) == 1 and _overrides(told[0], "recorder") else None
        self.ended = self._telling([member.ended for member in told], recorder, routes)
        self.going_on = going_on
        self.hears_of_begin = bool(self._began)
        self._told: dict[int, float] = {}

    def began(self, scope: Scope) -> None:
        """A request has come; called where `hears_of_begin`."""
        for began in self._began:
            try:
                began(scope)
            except Exception as error:  # noqa: BLE001 - whoever looks on disturbs nobody
                self._tell(began, error)

    def _telling(
        self, methods: list[Callable[..., object]], recorder: _Recorder | None, routes: KnownRoutes
    ) -> Callable[[Scope, int, float], None]:
        """What tells them that a request is over."""
        find, by_route, tell = routes.place, routes.by_route, self._tell
        records: dict[tuple[int, str | None, int], Callable[[float], object]] = {}

        def tell_all(*facts: Any) -> None:
            for method in methods:
                try:
                    method(*facts)
                except Exception as error:  # noqa: BLE001 - as above
                    tell(method, error)

        member = methods[0] if len(methods) == 1 else tell_all  # as nearly always

        def tell_one(scope: Scope, status: int, seconds: float) -> None:
            place = find(scope)
            actor = scope[ACTOR].actor if ACTOR in scope else None
            try:
                member(scope, status, seconds, place, actor)
                # Only a route that is kept has an id of its own. It is found by it in what follows.
                key = id(route_in(scope))
                if recorder is not None and "method" in scope and by_route.get(key) is place and len(records) < MOST:
                    record = recorder(place, scope["method"], status)
                    if record is not None:
                        records[key, scope["method"], status] = record
            except Exception as error:  # noqa: BLE001 - as above
                tell(member, error)

        # Each call, each look and each object costs the hello route more than it seems: of nearly all requests, what
        # records it is found in one look, and of what this needs nothing is looked up in `self`.
        def ended(scope: Scope, status: int, seconds: float) -> None:
            if ACTOR not in scope and MOUNTED_AT not in scope:
                fastapi = scope.get("fastapi")
                route = (fastapi.get("effective_route_context") if fastapi else None) or scope.get("route")
                record = records.get((id(route), scope.get("method"), status))
                if record is not None:
                    try:
                        record(seconds)
                    except Exception as error:  # noqa: BLE001 - as above
                        tell(record, error)
                    return
            tell_one(scope, status, seconds)

        return ended if recorder is not None else tell_one

    def _tell(self, method: Callable[..., object], error: Exception) -> None:
        now = time.monotonic()
        if now >= self._told.get(id(method), 0.0):
            self._told[id(method)] = now + TOLD_EVERY
            name = f"{method.__module__}.{getattr(method, '__qualname__', method)}"
            log.opt(exception=error).error(f"{name} of the group {GROUP} failed: {type(error).__name__}: {error}")


class GoingOn:
    """What this process is answering, where there is an observer.

    Attributes:
        requests: those that are not websockets.
        websockets: from the handshake on.
    """

    __slots__ = ("requests", "websockets")

    def __init__(self) -> None:
        self.requests = 0
        self.websockets = 0


def requests_in_flight() -> tuple[int, int]:
    """How many requests this process is answering, and how many websockets are open; counted for observers alone."""
    manager: Any = running_manager()
    found = _going_on(manager.kept)
    return found.requests, found.websockets


def _going_on(kept: dict[str, Any]) -> GoingOn:
    found: GoingOn = kept.setdefault(__name__, GoingOn())
    return found


def observers_of(manager: PluginManager, routes: KnownRoutes) -> Observers | None:
    """Those of an application; None where there are none."""
    members: list[Any] = list(manager.groups.get(GROUP).values())
    return Observers(members, routes, _going_on(manager.kept)) if members else None


def _overrides(member: RequestObserver, name: str) -> bool:
    return getattr(type(member), name, None) is not getattr(RequestObserver, name)
