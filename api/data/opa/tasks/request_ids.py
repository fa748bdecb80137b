"""The id of a request, and who sent it, go with the tasks that it sends, into the lines of the log written for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from opa._compat.celery.app import get_current_task
from opa.context import changed_context, current_context
from opa.logging.request_id import get_request_id, is_request_id
from opa.tasks.headers import ACTOR, HEADER, KIND, SCHEDULE

if TYPE_CHECKING:
    from opa.access.actor import Actor


def with_request_id(headers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The headers of a task that is sent, with what is known of the request that sends it; what is there stays."""
    request_id, actor = get_request_id(), cast("Actor | None", current_context.get().actor)
    if actor is not None:  # what it may do stays here: a message can be read, and written, by others
        headers = {ACTOR: actor.id, KIND: actor.kind, **(headers or {})}
    return headers if request_id is None else {HEADER: request_id, **(headers or {})}


def with_schedule(options: Mapping[str, Any], name: str, person: str = "") -> dict[str, Any]:
    """The options of a task that the entry `name` of the schedule sends, with the header that says so.

    Args:
        person: who has it sent before it is due.
    """
    who = {ACTOR: person, KIND: "person"} if person else {}
    return {**options, "headers": {**(options.get("headers") or {}), **who, SCHEDULE: name}}


def request_id_of_task() -> str | None:
    """The id of the request that has sent the task which runs in this thread."""
    request_id = _headers_of_task().get(HEADER)
    return request_id if is_request_id(request_id) else None


def actor_of_task() -> Actor | None:
    """Who sent the request that has sent the task which runs in this thread, with neither scopes nor claims."""
    headers = _headers_of_task()
    if ACTOR not in headers:
        return None
    from opa.access.actor import Actor  # no start needs it
    from opa.errors import OpaError

    try:
        return Actor(headers[ACTOR], headers.get(KIND, ""))
    except OpaError:  # not by us
        return None


@contextmanager
def belonging_to_its_request() -> Iterator[None]:
    """What runs in the block belongs to the request that has sent the task which runs in this thread."""
    request_id, actor = request_id_of_task(), actor_of_task()
    with changed_context() as context:
        context.actor = actor
        if request_id is not None:
            context.request_id = request_id.encode()
        yield


def _headers_of_task() -> Mapping[str, Any]:
    task: Any = get_current_task()
    return (task.request.headers or {}) if task else {}
