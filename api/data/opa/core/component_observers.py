"""How components are used: how many connections they have, and who is told of calls that had to wait for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opa.loading import conventions
from opa.logging.logger import log

GROUP = conventions.COMPONENT_OBSERVERS_GROUP.name
TOLD_EVERY = 60.0
"""Seconds between two lines of the log about an observer that fails."""

CONNECTION, THREAD, ANSWER = "connection", "thread", "answer"
"""What a call waits for: a connection that is free, a thread that is, whether the component answers at all."""

TellWait = Callable[[str, float], None]
"""Told what was waited for, and for how many seconds."""


@dataclass(frozen=True)
class PoolUse:
    """The connections of a pool in this process.

    Attributes:
        in_use: how many a call has at the moment.
        idle: how many are open beside these.
        limit: how many calls may have one at a time; None where nothing limits that.
    """

    in_use: int
    idle: int
    limit: int | None = None


class ComponentObserver:
    """A member of the group. What it raises is written to the log, and changes nothing for the call."""

    def waited(self, component: str, reason: str, seconds: float) -> None:
        """A call has waited for a component; called in the thread of the call, which may be that of the event loop.

        Args:
            component: its name.
            reason: what it has waited for: `connection`, where all were in use; `thread`, where the routes that call
                the component had all of theirs; `answer`, where it was not known yet whether the component answers.
            seconds: how long. Calls that need not wait are not told of. Whether it got what it waited for is not said.
        """


def wait_teller(manager: Any, component: str) -> TellWait | None:
    """What a driver and its breakers tell of waits; None where nobody wants to know, and nothing is to be measured.

    Args:
        manager: of the plugins.
        component: whose calls wait.
    """
    groups = getattr(manager, "groups", None)
    members: list[Any] = [] if groups is None else list(groups.get(GROUP).values())
    if not members:
        return None
    told = [float("-inf")]

    def tell(reason: str, seconds: float) -> None:
        for member in members:
            try:
                member.waited(component, reason, seconds)
            except Exception as error:  # noqa: BLE001 - whoever looks on disturbs nobody
                now = time.monotonic()
                if now - told[0] >= TOLD_EVERY:
                    told[0] = now
                    name = f"{type(member).__module__}.{type(member).__qualname__}"
                    log.opt(exception=error).error(f"{name} of the group {GROUP} failed: {error!r}")

    return tell


@contextmanager
def measured(tell: TellWait | None, reason: str) -> Iterator[None]:
    """Tell how long it took, also where it was ended by an error; nothing where `tell` is None."""
    if tell is None:
        yield
        return
    began = time.perf_counter()
    try:
        yield
    finally:
        tell(reason, time.perf_counter() - began)
