"""The serializer of kombu that tasks and results are written and read by; what is written, `opa.tasks.codec` says."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import Any

from celery import current_app
from kombu.serialization import register
from kombu.utils import json as kombu_json

from opa.tasks.codec import encode
from opa.tasks.marks import Typed, unmarked
from opa.tasks.parameters import RETURN, parameters_of

NAME = "json"
"""It takes the place of kombu's, so that it holds wherever someone asks for JSON."""
CONTENT_TYPE = "application/json"

_leaves_unread: ContextVar[bool] = ContextVar("opa_task_unread", default=False)


def register_serializer() -> None:
    """Have kombu use it; its serializers belong to the process and not to an application."""
    register(NAME, encode, decode, content_type=CONTENT_TYPE, content_encoding="utf-8")


class Unread:
    """A context in which `decode` leaves what an annotation would read: that may run any code of a plugin."""

    def __enter__(self) -> None:
        self._token = _leaves_unread.set(True)

    def __exit__(self, *_: object) -> None:
        _leaves_unread.reset(self._token)


def decode(data: str | bytes | memoryview) -> Any:
    """What `encode`, or kombu's JSON, was given. A dict that only looks like a marked value stays one.

    Raises:
        ValueError: it is not JSON, or a marked value cannot be made.
        TaskArgumentError: an annotation does not read what another one has written.
    """
    return kombu_json.loads(data, object_hook=partial(unmarked, read=_read))


def _read(typed: Typed) -> Any:
    if _leaves_unread.get():
        return typed
    task: Any = current_app.tasks.get(typed.task)
    if task is not None:
        return parameters_of(task).read(typed)
    # Of a task that is sent on from here, or a result whose task is not known here.
    return typed.value if typed.name == RETURN else typed
