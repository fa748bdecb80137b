"""Wakes up a worker when an event was committed, without holding up who has committed it."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from functools import partial
from threading import Lock

from opa.core.manager import PluginManager
from opa.core.running import belonging_to
from opa.core.threads import begin_in_pool
from opa.logging.logger import log


class Bell:
    """Rings once for all that is committed until it rings.

    Args:
        manager: of the application.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._lock = Lock()
        self._asked: set[str] = set()
        self._ringing: set[Future[None]] = set()

    def ring(self, component: str) -> None:
        """There is something in the outbox of a component. Workers look by themselves, so that it need not work."""
        with self._lock:
            if component in self._asked:
                return
            self._asked.add(component)
        # Of no request: it is for all that was committed.
        with suppress(RuntimeError):  # the process ends
            ringing = begin_in_pool("outbox", partial(Context().run, self._ring, component))
            self._ringing.add(ringing)
            ringing.add_done_callback(self._ringing.discard)

    def wait(self, seconds: float) -> None:
        """Wait until it has rung."""
        for ringing in list(self._ringing):
            ringing.exception(seconds)

    def _ring(self, component: str) -> None:
        from opa.events.relay import relay_task  # with Celery

        with self._lock:
            self._asked.discard(component)
        try:
            with belonging_to(self._manager):
                relay_task().delay(component)
        except Exception as error:  # noqa: BLE001 - as above
            log.debug(f"no worker is woken up for the outbox of '{component}' ({type(error).__name__}): {error}")


def bell_of(manager: PluginManager) -> Bell:
    """That of an application."""
    found: Bell = manager.kept.setdefault(__name__, Bell(manager))
    return found
