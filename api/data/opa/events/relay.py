"""Sends the events that were committed: in each worker, soon after the commit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

from opa.core.manager import PluginManager, get_plugin_manager
from opa.core.running import belonging_to
from opa.core.threads import in_pool
from opa.events.fan_out import fan_out_task, options_of
from opa.events.names import RELAY
from opa.events.outbox import (
    Outbox,
    components_with_outbox,
    is_asynchronous,
    is_to_be_looked_at,
    outbox_of_component,
    read_row,
    tell_late,
)
from opa.events.own_tasks import own_task
from opa.logging.logger import log

INTERVAL = 5.0
"""Seconds between two looks at an outbox; a process that has committed an event has it looked at at once."""
LEASE = 15.0
"""Seconds for which a worker has messages to itself; one that is killed leaves them to others after that."""
BATCH = 100
STOP_TIMEOUT = 5.0
"""Seconds that a batch has to end in."""


class Relay:
    """What sends the events of all outboxes of this process, one batch after another.

    Args:
        manager: of the application.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._once_more: dict[str, bool] = {}
        self._failing: set[str] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._polling: asyncio.Task[None] | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Look at them from now on, on the event loop that runs."""
        self._is_stopping = False
        self._polling = asyncio.get_running_loop().create_task(self._poll(), name="outboxes")

    async def stop(self) -> None:
        """Look at none any more; what is not sent yet, others send."""
        self._is_stopping = True
        if self._polling is not None:
            self._polling.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=STOP_TIMEOUT)

    async def send(self, component: str) -> None:
        """Send what waits in the outbox of a component.

        Where that is done already, it is done once more after it: what was committed meanwhile may not be in it.
        """
        if component in self._once_more:
            self._once_more[component] = True
            return
        # Whoever waits for it may be cancelled.
        await asyncio.shield(self._begin(component))

    def _begin(self, component: str) -> asyncio.Task[None]:
        self._once_more[component] = True
        # Nothing of a request is in the events of others.
        sending = asyncio.get_running_loop().create_task(self._send(component), context=Context())
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return sending

    async def _poll(self) -> None:
        while True:
            for name in components_with_outbox(self._manager):
                if name not in self._once_more:
                    self._begin(name)  # one that does not answer, or has much to send, keeps no other waiting
            # Not all workers at the same time.
            await asyncio.sleep(INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def _send(self, component: str) -> None:
        try:
            with belonging_to(self._manager):
                while self._once_more[component] and not self._is_stopping:
                    self._once_more[component] = False
                    outbox = outbox_of_component(self._manager, component)
                    if outbox is not None:
                        await self._send_all(component, outbox)
        except Exception as error:  # noqa: BLE001 - the next look tries again
            # Of an outage the breaker of its component tells.
            is_told = component in self._failing or self._manager.failed_components(error)
            log.opt(exception=error).log(
                "DEBUG" if is_told else "WARNING",
                f"events in the outbox of the component '{component}' are sent later: {type(error).__name__}: {error}",
            )
            self._failing.add(component)
        else:
            self._failing.discard(component)
        finally:
            del self._once_more[component]

    async def _send_all(self, component: str, outbox: Outbox) -> None:
        if is_to_be_looked_at(self._manager, component):
            tell_late(component, await _called(outbox.oldest, outbox, None))
        while not self._is_stopping:
            rows: list[tuple[Any, str]] = await _called(outbox.take, outbox, BATCH, LEASE)
            if rows:
                await self._send_rows(component, outbox, rows)
            if len(rows) < BATCH:
                return

    async def _send_rows(self, component: str, outbox: Outbox, rows: list[tuple[Any, str]]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + LEASE / 2
        sent: list[Any] = []
        left = [key for key, _ in rows]
        try:
            for key, message in rows:
                if self._is_stopping or loop.time() > until:
                    return
                if await self._is_sent(component, message):
                    sent.append(key)
                left.remove(key)  # one that cannot be sent stays taken for a while, and keeps no other waiting
        finally:  # what the broker has confirmed is not sent again, whatever has come after it
            if sent:
                await _called(outbox.remove, outbox, sent)
            if left:
                await _called(outbox.give_back, outbox, left)

    async def _is_sent(self, component: str, message: str) -> bool:
        try:
            event, headers = read_row(message)
            await fan_out_task().send_with({**options_of(event), "headers": headers}, event.message())
        except Exception as error:
            if self._manager.failed_components(error):
                raise
            log.opt(exception=error).error(
                f"an event in the outbox of the component '{component}' cannot be sent, and is tried again in"
                f" {LEASE:g} s: {error}"
            )
            return False
        return True


async def relay(component: str) -> None:
    """The task that a process sends which has committed an event."""
    await relay_of(get_plugin_manager()).send(component)


def relay_task() -> Any:
    """That task, in the running application."""
    return own_task(RELAY, relay)


def relay_of(manager: PluginManager) -> Relay:
    """That of an application, in this process."""
    found: Relay = manager.kept.setdefault(RELAY, Relay(manager))
    return found


async def _called(function: Callable[..., Any], outbox: Outbox, *arguments: Any) -> Any:
    """What a method of an outbox gives; one that is `def` is called in a thread."""
    if is_asynchronous(outbox):
        return await function(*arguments)
    return await in_pool("outbox", partial(function, *arguments))
