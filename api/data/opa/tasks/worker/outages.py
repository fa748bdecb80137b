"""A task outlasts the outage of a component: it waits in its worker until the component answers, and runs again.

Without that a worker would take one task after the other from the queue, and each would fail within milliseconds: an
outage of some seconds would cost all tasks that wait, and not only those that run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from opa._util.pauses import growing
from opa.core.calling import call
from opa.core.drivers import Driver, is_outage
from opa.core.manager import get_plugin_manager
from opa.logging.logger import log

MIN_RETRY_DELAY = 0.2
MAX_RETRY_DELAY = 2.0
"""Seconds between two looks at whether a component answers."""
TRIES = 3
"""How often a task is run again though its component answers: once for a connection that was lost and is back, and not
forever where it is the task that asks for too much."""


def behind(error: Exception, task: Any) -> list[Driver]:
    """The components that an error of a task says are gone; none where the task is not to wait for them.

    A task that names the error in its `autoretry_for` has a way of its own.
    """
    if not task.waits_for_components or isinstance(error, tuple(getattr(task, "autoretry_for", ()))):
        return []
    components = get_plugin_manager().optional_components.values()
    return [component for component in components if is_outage(error, component)]


class Outages:
    """Which components of this process are gone; belongs to its event loop."""

    def __init__(self) -> None:
        self._watched: dict[Driver, asyncio.Task[bool]] = {}

    async def end(self, components: Iterable[Driver]) -> bool:
        """Wait until all of them answer; whether one did not."""
        were_gone = [await asyncio.shield(self._watch(component)) for component in components]
        return any(were_gone)

    def _watch(self, component: Driver) -> asyncio.Task[bool]:
        # One look for all the tasks that wait.
        if component not in self._watched:
            self._watched[component] = asyncio.create_task(self._until_it_answers(component))
        return self._watched[component]

    async def _until_it_answers(self, component: Driver) -> bool:
        was_gone = False
        try:
            for pause in growing(MIN_RETRY_DELAY, MAX_RETRY_DELAY):
                if await _answers(component):
                    break
                if not was_gone:
                    log.warning(f"component '{component.component}' does not answer; the tasks that need it wait")
                    was_gone = True
                await asyncio.sleep(pause)
        finally:
            del self._watched[component]
        if was_gone:
            log.info(f"component '{component.component}' answers again")
        return was_gone


async def _answers(component: Driver) -> bool:
    validate = getattr(component, "validate", None)
    if validate is None:
        return True  # unknown; the task finds out
    try:
        await call(validate, name=f"validate-{component.component}")
    except Exception as error:  # noqa: BLE001 - any other error is an answer, if a bad one; the task meets it by itself
        return not is_outage(error, component)
    return True
