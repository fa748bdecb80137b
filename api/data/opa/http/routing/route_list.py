"""A list of routes that tells when it has changed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any
from weakref import ref

from starlette.routing import BaseRoute


def _announced(change: Callable[..., Any], *, grows: bool = False) -> Any:
    """A method of `list` that changes it; `grows` where it does no more than add at the end."""

    @functools.wraps(change)
    def changing(self: RouteList, *args: Any, **kwargs: Any) -> Any:
        try:
            return change(self, *args, **kwargs)
        finally:  # also after half a change
            self._changed(grows=grows)

    return changing


class Alarm:
    """Is on when something that it watches has changed."""

    def __init__(self) -> None:
        self.is_on = False


class RouteList(list[BaseRoute]):
    """The routes of a router.

    A change inside a route is not seen.

    Attributes:
        version: the same object as long as the list has at most grown at its end.
        known: what its reader knows of it as it is; None after each change.
    """

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        super().__init__(routes)
        self.version = object()
        self.known: object = None
        self._alarms: tuple[ref[Alarm], ...] = ()

    def __copy__(self) -> RouteList:
        return RouteList(self)  # which goes a way of its own from here

    @property
    def state(self) -> tuple[object, int]:
        """Equal as long as nothing has changed."""
        return self.version, len(self)

    def watch(self, alarm: Alarm) -> None:
        """Put `alarm` on after each change from now on, as long as someone else holds it."""
        others = [other for other in self._alarms if other() not in {None, alarm}]
        self._alarms = (*others, ref(alarm))

    def exchange_last(self, routes: Iterable[BaseRoute]) -> None:
        """Put `routes` in the place of the last one, which may not have been read yet."""
        list.__setitem__(self, slice(-1, None), routes)
        self.known = None

    append = _announced(list.append, grows=True)
    extend = _announced(list.extend, grows=True)
    __iadd__ = _announced(list.__iadd__, grows=True)
    insert = _announced(list.insert)
    remove = _announced(list.remove)
    pop = _announced(list.pop)
    clear = _announced(list.clear)
    sort = _announced(list.sort)
    reverse = _announced(list.reverse)
    __setitem__ = _announced(list.__setitem__)
    __delitem__ = _announced(list.__delitem__)
    __imul__ = _announced(list.__imul__)

    def _changed(self, *, grows: bool) -> None:
        if not grows:
            self.version = object()
        self.known = None
        for reference in self._alarms:
            if (alarm := reference()) is not None:
                alarm.is_on = True
