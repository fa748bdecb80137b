"""What Flower takes from the events of workers: one that is none would break its pages until it starts anew."""

from __future__ import annotations

import threading
from typing import Any

from celery.events import EventReceiver
from celery.utils.log import get_logger

from opa.tasks.event_fields import known_fields

logger = get_logger(__name__)

MAX_BACKLOG = 10_000
"""Events that are heard and not in the pages yet."""
PATIENCE = 5.0
"""Seconds for which no more events are taken where so many wait; the broker drops them after as long."""

backlog = threading.Semaphore(MAX_BACKLOG)
"""Is acquired for each event, and released when the pages have it."""


class Events(EventReceiver):
    """Hears all events, and passes on those that Celery could have sent."""

    def event_from_message(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        """The type of an event and its fields; no fields where it is none."""
        known = known_fields(body)
        return ("", {}) if known is None else super().event_from_message(known, *args, **kwargs)

    def process(self, type: str, event: Any) -> None:
        """Called with each event."""
        if event:
            backlog.acquire(timeout=PATIENCE)
            super().process(type, event)
        else:
            logger.debug("An event is dropped, since it is none of Celery's")
