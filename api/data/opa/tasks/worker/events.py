"""The events of a worker, such as its heartbeats, which never hold up the worker."""

from __future__ import annotations

from typing import Any

from celery.events.dispatcher import EventDispatcher as CeleryEventDispatcher


class EventDispatcher(CeleryEventDispatcher):
    """Tries once to send an event; what cannot be sent is kept until the worker has reconnected.

    Celery's would try forever to send a heartbeat to a broker that is gone, in the thread that has to find that out,
    and to hear that the worker is to stop.
    """

    def send(self, type: str, *args: Any, **options: Any) -> Any:
        """Send an event."""
        return super().send(type, *args, **{**options, "retry": False})
