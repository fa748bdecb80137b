"""Which tasks a worker has in hand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

MOST = 10_000


def tasks_in_hand() -> list[str]:
    """The ids of the tasks that this worker has taken and not ended: those that run, and those that wait in it.

    10,000 at most. Call it in the worker's own process, not in one that runs tasks; elsewhere there are none.
    """
    from celery.worker import state  # a worker has it

    found = list(state.requests)
    later: Iterable[Any] = vars(state).get("scheduled_requests", ())  # celery-types lack it
    with suppress(RuntimeError):  # one has just come or gone
        found += [request.id for request in later]
    return found[:MOST]
