"""The headers by which the message of a task says who has sent it, besides Celery's own."""

from __future__ import annotations

HEADER, ACTOR, KIND = "request_id", "actor", "actor_kind"
"""The id of the request in which it was sent, and id and kind of who sent that."""
SCHEDULE, SENT_AT = "schedule", "sent_at"
"""The name of the schedule that has sent it, and when it was sent, in seconds since 1970."""
EVENT = "event"
"""The name of the event whose handler it is."""
TICKET, WAITS = "limit_ticket", "limit_waits"
"""The place of a task with limits in a line, and how often its message was sent on; neither is there at first."""
LOCK = "limit_unique"
"""What a unique task holds."""
OF_DELIVERIES = ("x-delivery-count", TICKET, WAITS)
"""What the message of a task does not have when it is sent for the first time."""
MAX_NAME_LENGTH = 1024
"""Characters of an id, or of the name of a task."""
