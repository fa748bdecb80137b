"""Which component an error is of: several of one client library, or on one server, share their error classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from traceback import walk_tb
from types import FunctionType, ModuleType
from typing import Any

from opa.core.breaker import refused_component
from opa.core.drivers import Driver, component_named_by
from opa.core.lazy_errors import errors_now

MAX_DEPTH = 3
"""Attributes that lead from a client to what it holds: a pool, a connection, a topology."""
MAX_OBJECTS = 300


def failed_components(error: Exception, components: Iterable[Driver]) -> list[str]:
    """The names of the components that `error` may come from: one, where that can be told.

    Args:
        error: what the client of one of them has raised.
        components: those that are connected.

    Returns:
        Where several have such errors, the one whose client, or what belongs to it, was at work when it was raised.
    """
    components = list(components)
    if (refused := refused_component(error)) is not None:
        return [each.component for each in components if refused in {breaker.name for breaker in each.breakers()}]
    suspects = [component for component in components if isinstance(error, errors_now(component, "connection_errors"))]
    if any(each.component == component_named_by(error) for each in suspects):
        return [str(component_named_by(error))]
    if len(suspects) > 1:
        # A client of the user's own is one by itself: it may hold much that is everyone's.
        clients = {id(each): one.component for one in suspects for each in (one, one.instance) if each is not None}
        belongings = {component.component: _belongings(component.instance, MAX_DEPTH) for component in suspects}
        for worker in _at_work(error):
            if id(worker) in clients:
                return [clients[id(worker)]]
            held = _belongings(worker, 1)
            found = [name for name, own in belongings.items() if not own.isdisjoint(held)]
            if len(found) == 1:
                return found
    return [component.component for component in suspects]


def _at_work(error: BaseException) -> Iterator[Any]:
    """The objects whose methods the traceback goes through, the innermost first; then those of the causes."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = [frame for frame, _ in walk_tb(cause.__traceback__)]
        for frame in reversed(frames):
            worker = frame.f_locals.get("self")
            if worker is not None:
                yield worker
        cause = cause.__cause__ or cause.__context__


def _belongings(thing: Any, steps: int) -> set[int]:
    """The ids of `thing` and of what its attributes lead to."""
    found = {id(thing)}
    newest = [thing]
    for _ in range(steps):
        held = {id(value): value for each in newest for value in _attributes(each) if _can_belong(value)}
        newest = [value for key, value in held.items() if key not in found][:MAX_OBJECTS]
        found.update(map(id, newest))
    return found


def _attributes(thing: Any) -> list[Any]:
    try:
        return list(vars(thing).values())
    except Exception:  # noqa: BLE001 - it has none, or stands for something that is not there, as a proxy of Celery's
        return []


def _can_belong(value: object) -> bool:
    """Whether it may be of one component alone: classes, functions and modules are everyone's, as are plain values."""
    return type(value).__dictoffset__ != 0 and not isinstance(value, type | ModuleType | FunctionType)
