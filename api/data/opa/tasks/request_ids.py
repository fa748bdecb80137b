"""The id of a request goes with the tasks that it sends, into the lines of the log that are written for them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opa._compat.celery.app import get_current_task
from opa.logging.request_id import belonging_to_request, get_request_id, is_request_id

HEADER = "request_id"
"""Of the message in which a task is sent."""


def with_request_id(headers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The headers of a task that is sent, with the id of the request that sends it; one that is there already stays."""
    request_id = get_request_id()
    return headers if request_id is None else {HEADER: request_id, **(headers or {})}


def request_id_of_task() -> str | None:
    """The id of the request that has sent the task which runs in this thread."""
    task: Any = get_current_task()
    request_id = (task.request.headers or {}).get(HEADER) if task else None
    return request_id if is_request_id(request_id) else None


def belonging_to_its_request() -> AbstractContextManager[None]:
    """What runs in the block belongs to the request that has sent the task which runs in this thread."""
    request_id = request_id_of_task()
    return nullcontext() if request_id is None else belonging_to_request(request_id)
