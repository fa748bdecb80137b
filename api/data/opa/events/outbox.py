"""Events that wait for a commit: each is kept in the transaction it belongs to, by the component of its session."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from opa.core.manager import PluginManager
from opa.errors import OpaError
from opa.events.event import Event
from opa.events.names import FAN_OUT
from opa.logging.logger import log
from opa.tasks.application import application_of
from opa.tasks.request_ids import with_request_id

LATE = 60.0
"""Seconds after which an event that waits is told, and how often."""


class Outbox(Protocol):
    """What `event_outbox` of a driver gives; see docs/events.md. The methods but `takes` may be `async def`."""

    def takes(self, session: Any) -> bool:
        """Whether a session is one of the component."""

    def add(self, session: Any, name: str, message: str, committed: Callable[[], None]) -> Any:
        """Keep a message in the transaction of a session, and call `committed` once that is committed."""

    def take(self, count: int, seconds: float) -> Any:
        """Messages that nobody has taken, and that nobody else gets for so many seconds, with their keys."""

    def remove(self, keys: list[Any]) -> Any:
        """Forget messages."""

    def give_back(self, keys: list[Any]) -> Any:
        """Let others take messages."""

    def oldest(self, session: Any) -> Any:
        """When the message was added that waits for the longest, in seconds since 1970."""


def outboxes(manager: PluginManager) -> Iterator[tuple[str, Outbox]]:
    """Those of the connected components, by their names."""
    for name in components_with_outbox(manager):
        found = outbox_of_component(manager, name)
        if found is not None:
            yield name, found


def components_with_outbox(manager: PluginManager) -> list[str]:
    """The names of those whose driver may have one."""
    return [name for name, driver in list(manager.optional_components.items()) if hasattr(driver, "event_outbox")]


def outbox_of_component(manager: PluginManager, name: str) -> Outbox | None:
    """That of a component; None where it has none, or is not connected."""
    driver: Any = manager.optional_components.get(name)
    found: Outbox | None = driver.event_outbox() if hasattr(driver, "event_outbox") else None
    return found


def is_asynchronous(outbox: Outbox) -> bool:
    """Whether its methods are to be awaited."""
    return inspect.iscoroutinefunction(outbox.add)


def outbox_of(manager: PluginManager, session: Any, *, is_async: bool) -> tuple[str, Outbox]:
    """That of the component whose session it is, with the name of that.

    Args:
        manager: of the application.
        session: as it was given to `emit`.
        is_async: whether it is awaited.

    Raises:
        OpaError: it is the session of no component, or one for the other function.
    """
    call = "emit" if is_async else "emit_sync"
    for name, outbox in outboxes(manager):
        if not outbox.takes(session):
            continue
        if is_asynchronous(outbox) != is_async:
            kind, other = ("synchronous", "emit_sync(…)") if is_async else ("asynchronous", "await emit(…)")
            raise OpaError(
                f"{call}(…, session=) was given a session of the component '{name}', which is {kind}",
                hint=f"Write {other}",
            )
        return name, outbox
    raise OpaError(
        f"{call}(…, session=) was given a {type(session).__name__}, which is a session of no component of this process",
        hint="Give it a session of a component with a driver for SQL, such as Component('sql')",
    )


def row_of(manager: PluginManager, event: Event) -> str:
    """What is kept of an event: all that is sent, with the headers of the request that has emitted it.

    Raises:
        TaskTooLargeError: it takes more bytes, or more levels, than the settings allow.
    """
    message = event.message()
    application_of(manager).check_arguments(FAN_OUT, [message])
    return json.dumps({"event": message, "headers": dict(with_request_id(None) or {})})


def is_to_be_looked_at(manager: PluginManager, component: str) -> bool:
    """Whether nobody in this process has looked for a while whether events wait for long in an outbox."""
    looked_at, now = manager.kept.setdefault(__name__, {}), time.monotonic()
    if now < looked_at.get(component, 0.0) + LATE:
        return False
    looked_at[component] = now
    return True


def tell_late(component: str, oldest: float | None) -> None:
    """Write into the log that events wait, where that is so.

    Args:
        component: whose outbox it is.
        oldest: as `Outbox.oldest` gives it.
    """
    age = 0.0 if oldest is None else time.time() - oldest
    if age > LATE:
        log.warning(
            f"events wait in the outbox of the component '{component}' since {age:.0f} s: a worker that has this"
            " component, and a broker that answers, send them"
        )


def read_row(message: str) -> tuple[Event, dict[str, Any]]:
    """The event and the headers, as `row_of` has written them."""
    row = json.loads(message)
    return Event.from_message(row["event"]), row["headers"]


def after_all(functions: Iterable[Callable[[], None]]) -> Callable[[], None]:
    """What calls them once a transaction is committed; whoever has committed it has no part in what they raise."""
    kept = list(functions)

    def call() -> None:
        for function in kept:
            try:
                function()
            except Exception as error:  # noqa: BLE001 - as above
                log.opt(exception=error).error(f"what was to follow the commit of an event failed: {error}")

    return call
