"""Dead letters: the tasks that were given up or refused, and what is known of them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa.errors import OpaError
from opa.tasks.codec import Limits
from opa.tasks.headers import MAX_NAME_LENGTH
from opa.tasks.messages import UnfitMessageError, check_headers, read_body
from opa.tasks.shown_arguments import shown_arguments
from opa.tasks.unpacking import UnpackingError, unpack


@dataclass(frozen=True)
class DeadLetter:
    """What is known of a task that was given up.

    Attributes:
        id: of the task; for a message that has none, or one with `.` or `..` as a step, a digest of its content.
        task: its name; empty where the message does not say.
        arguments: as in a call, shortened, secrets masked.
        queue: from which it was taken.
        reason: `delivery_limit`, `rejected`, `malformed`, or another of RabbitMQ's (`expired`, `maxlen`).
        deliveries: how often it was given to a worker; None where the broker does not tell.
        died: when it was given up; None where the broker does not tell.
        problem: why no worker can read it; empty where one can.
    """

    id: str
    task: str
    arguments: str
    queue: str
    reason: str
    deliveries: int | None
    died: datetime | None
    problem: str


class Held(ABC):
    """A dead letter that this process holds; it stays where it is unless one of the two methods is called."""

    @property
    @abstractmethod
    def id(self) -> str:
        """`letter.id`, without reading all of the message."""

    @cached_property
    @abstractmethod
    def letter(self) -> DeadLetter:
        """What is known of it."""

    @abstractmethod
    def send_again(self) -> bool:
        """Put it into its queue, as if it was sent for the first time, and take it away once it is there.

        False, and it stays, where its queue is gone.

        Raises:
            StartError: the broker does not take it.
            LetterGoneError: it is not there any more.
        """

    @abstractmethod
    def drop(self) -> None:
        """Take it away forever.

        Raises:
            LetterGoneError: it is not there any more.
        """


class LetterGoneError(OpaError):
    """The dead letter was sent again or dropped meanwhile."""

    def __init__(self, letter_id: str) -> None:
        super().__init__(
            in_one_line(f"{letter_id} is not among the dead letters"),
            hint="It may have been sent again or dropped; `opa tasks dead` shows those that are left",
        )


def describe(
    headers: Mapping[str, Any],
    content_type: Any,
    body: bytes,
    limits: Limits,
    *,
    queue: str,
    reason: str,
    deliveries: int | None,
    died: datetime | None,
) -> DeadLetter:
    """What a message says of itself, with what the broker knows of its death; whatever it holds."""
    return DeadLetter(
        id=id_in(headers, body),
        task=mask_text(_text(headers.get("task"))),
        arguments=shown_arguments(headers),
        queue=queue,
        reason=reason,
        deliveries=deliveries,
        died=died,
        problem=_problem(headers, content_type, body, limits),
    )


def id_in(headers: Mapping[str, Any], body: bytes) -> str:
    """The id of a message; a digest where it has none, or one that can be no part of a path."""
    own = _text(headers.get("id"))
    return digest(body) if not own or {".", ".."} & set(own.split("/")) else own


def digest(content: bytes) -> str:
    """By what a message is called that has no id of its own."""
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_NAME_LENGTH else ""


def _problem(headers: Mapping[str, Any], content_type: Any, body: bytes, limits: Limits) -> str:
    try:
        if compression := headers.get("compression"):
            body = unpack(body, compression, limits.bytes)
        check_headers(headers, limits)
        read_body(headers, content_type, body, limits)
    except UnpackingError as error:
        return str(error)
    except UnfitMessageError as error:
        return error.problem
    return ""
