"""What is known of a run of a task, as observers are told it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from opa._util.masking.secrets import may_hold_secret
from opa.logging.request_id import is_request_id
from opa.logging.tracebacks import format_exception
from opa.tasks.headers import ACTOR, EVENT, HEADER, KIND, MAX_NAME_LENGTH, SCHEDULE, SENT_AT
from opa.tasks.shown_arguments import shown_arguments, shown_result

_DELAYED = re.compile(r"(?:[01]\.){28}")
"""What RabbitMQ has before the name of a queue where a task waits for a countdown."""


_OF_END = ("traceback", "shown_result")


@dataclass(frozen=True)
class TaskSender:
    """Who has sent a task; each is empty where it is not known, or was not so.

    Attributes:
        request_id: of the request in which it was sent.
        actor: the id of who sent that request, or of the person who sent the task by `opa tasks run`.
        actor_kind: what made the actor known, in a word.
        schedule: the name of the schedule.
        event: the name of the event whose handler it is.
        parent: the id of the task that sent it.
    """

    request_id: str = ""
    actor: str = ""
    actor_kind: str = ""
    schedule: str = ""
    event: str = ""
    parent: str = ""


@dataclass(frozen=True)
class TaskRun:
    """A run of a task, at the moment at which an observer is told of it. What is not known then is None, or empty.

    Attributes:
        id: of the task, the same for all its tries.
        task: its name.
        plugin: that it belongs to; empty for one of Celery's own, and for one that is not here.
        queue: to which it was sent, or from which it was taken.
        worker: the name of the worker that has it: `celery@host`.
        tries: which try it is, 1 for the first. One that a worker gave back is the same try.
        deliveries: how often the broker has given it to a worker, as far as that tells; 0 where nobody has it yet.
        sent_at: when it was sent, in seconds since 1970, as all times; also that of the sender's clock.
        started_at: when the function was called.
        ended_at: when it ended, or was given back.
        result: what it returned.
        error: what it raised, or why it was given up.
        reason: why it did not run, or does not go on, in a few words: `revoked`, `expired`, `delivery_limit`.
        body: the arguments as they are sent, JSON as text; for `sent` alone. They may be secret: see `may_be_secret`.
        parameters: the names of the parameters of the task, where one of them looks like that of a secret.
        headers: of the message, by which Celery says more of it. They may be secret.
    """

    id: str
    task: str
    plugin: str = ""
    queue: str = ""
    worker: str = ""
    tries: int = 1
    deliveries: int = 0
    sent_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    result: Any = None
    error: BaseException | None = None
    reason: str = ""
    body: str | None = field(default=None, repr=False)
    parameters: tuple[str, ...] = ()
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def by(self) -> TaskSender:
        """Who has sent it."""
        request_id = self.headers.get(HEADER)
        actor, kind, schedule, event, parent = (
            _text(self.headers.get(name)) for name in (ACTOR, KIND, SCHEDULE, EVENT, "parent_id")
        )
        return TaskSender(
            _text(request_id) if is_request_id(request_id) else "",
            actor,
            kind,
            schedule,
            event,
            "" if parent == self.id else parent,  # of a retry, Celery gives the task itself as its parent
        )

    @cached_property
    def arguments(self) -> str:
        """As in a call, shortened, secrets masked."""
        return shown_arguments(self.headers, self.parameters)

    @property
    def may_be_secret(self) -> bool:
        """Whether anything in `body` looks like a secret, or is for a parameter whose name does."""
        return bool(self.parameters) or (self.body is not None and may_hold_secret(self.body))

    @cached_property
    def shown_result(self) -> str:
        """The result as Python writes it, in 1000 characters at most, secrets masked; empty for None."""
        return "" if self.result is None else shown_result(self.result)

    @cached_property
    def traceback(self) -> str:
        """Of the error: the frames of plugins in full, those of libraries between them as a line; secrets masked."""
        return "" if self.error is None else format_exception(self.error, is_folded=True)

    def changed(self, **fields: Any) -> TaskRun:
        """The same with other fields."""
        same = {**self.__dict__, **fields}
        for name in _OF_END:
            same.pop(name, None)  # they may have been read of another error, or result
        return made(same)


def made(fields: dict[str, Any]) -> TaskRun:
    """A run with these fields: a frozen dataclass sets each one by a call, which every task would pay for."""
    run: TaskRun = TaskRun.__new__(TaskRun)
    run.__dict__.update(fields)
    return run


def run_of(fields: Mapping[str, Any], plugin: str, parameters: tuple[str, ...] = (), **more: Any) -> TaskRun:
    """The run that the fields of a message are of, as a worker has it.

    Args:
        fields: the headers, and what Celery has added to them. They are checked: see `opa.tasks.messages`.
        plugin: that the task belongs to.
        parameters: its own, where one may be secret.
        more: fields of the run that the message does not have.
    """
    delivery = fields.get("delivery_info") or {}
    count = fields.get("x-delivery-count")
    sent_at = fields.get(SENT_AT)
    return made(
        {
            "id": fields["id"],
            "task": fields["task"],
            "plugin": plugin,
            "queue": queue_in(delivery.get("routing_key")),
            "worker": fields.get("hostname") or "",
            "tries": (fields.get("retries") or 0) + 1,
            "deliveries": (count if type(count) is int and count > 0 else 0) + 1,
            "sent_at": sent_at if type(sent_at) is float else None,
            "headers": fields,
            "parameters": parameters,
            **more,
        }
    )


def queue_in(routing_key: Any) -> str:
    """The queue that a routing key leads to."""
    if not isinstance(routing_key, str):
        return ""
    return _DELAYED.sub("", routing_key, count=1) if routing_key.startswith(("0.", "1.")) else routing_key


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_NAME_LENGTH else ""
