"""Messages in redis, those that are none, and what is kept of both among the dead letters."""

from __future__ import annotations

import base64
import sys
import time
from typing import Any
from uuid import uuid4

from opa._compat import kombu as compat
from opa._util.words import kind_of
from opa.tasks.unpacking import unpack

RETURNS = "x-delivery-count"
"""The header, by RabbitMQ's name, that counts how often a message came back."""
DEATH = "x-opa-death"
"""The header that says how a message came to the dead letters: `queue`, `reason`, `time` and `deliveries`."""
MALFORMED = "malformed"
"""The reason of what is no message at all: the body of its letter is what stood in the queue."""

_BODY_ENCODINGS = (None, "base64", "utf-8")


class MalformedError(ValueError):
    """What stands in a queue is no message; the text does not repeat what it holds."""


class Message(compat.Message):
    """A message that is what kombu takes for granted, and is unpacked within limits.

    Raises:
        MalformedError: it is not.
    """

    body: Any

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        _check_envelope(payload)
        compression = (payload.get("headers") or {}).get("compression")
        if compression:
            self.errors = [None]  # kombu leaves a message alone that has an error already
        super().__init__(payload, channel, **kwargs)
        if compression:
            self.errors = []
            try:
                body = self.body.encode() if isinstance(self.body, str) else self.body or b""
                self.body = unpack(body, compression, channel.max_bytes)
            except ValueError:
                self.errors.append(sys.exc_info())


def _check_envelope(payload: Any) -> None:
    """Whether `payload` has all that kombu needs to hold it, to give it back and to acknowledge it.

    Raises:
        MalformedError: it has not; the message says what.
    """
    if not isinstance(payload, dict):
        raise MalformedError(f"it is {kind_of(payload)}, not a message")
    properties = payload.get("properties")
    delivery = properties.get("delivery_info") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(delivery, dict):
        raise MalformedError("it has no properties of a message")
    texts = (properties.get("delivery_tag"), delivery.get("exchange"), delivery.get("routing_key"))
    if not all(isinstance(text, str) for text in texts) or not texts[0]:
        raise MalformedError("it does not say how it is delivered")
    if not isinstance(payload.get("headers"), dict | None):
        raise MalformedError("its headers are not a dict")
    if not isinstance(payload.get("body"), str | None):
        raise MalformedError("its body is not text")
    if properties.get("body_encoding") not in _BODY_ENCODINGS:
        raise MalformedError("its body has an unknown encoding")


def why_malformed(error: Exception) -> str:
    """Why something is no message, without what it holds: the text of an error of Python's may repeat that."""
    return str(error) if isinstance(error, MalformedError) else f"it cannot be read ({type(error).__name__})"


def returns_in(headers: dict[str, Any]) -> int:
    """How often a message came back; a sender may have written anything there."""
    found = headers.get(RETURNS, 0)
    return found if type(found) is int and found > 0 else 0


def letter_of(payload: Any, queue: str, reason: str) -> Any:
    """A message as it is kept among the dead letters.

    Args:
        payload: the message; its headers are changed.
        queue: that it was in.
        reason: why it is given up; `rejected` where a worker has refused it, which is one delivery more.
    """
    headers = payload["headers"] = payload.get("headers") or {}
    deliveries = returns_in(headers) + (reason == "rejected")
    headers.pop(RETURNS, None)
    headers[DEATH] = {"queue": queue, "reason": reason, "time": time.time(), "deliveries": deliveries}
    return payload


def letter_of_malformed(item: bytes, queue: str, error: Exception) -> dict[str, Any]:
    """What is no message as it is kept among the dead letters, byte for byte.

    Args:
        item: what stood in the queue.
        queue: its name.
        error: why it is no message.
    """
    death = {"queue": queue, "reason": MALFORMED, "time": time.time(), "deliveries": 1, "problem": why_malformed(error)}
    return {
        "body": base64.b64encode(item).decode(),
        "content-type": "application/octet-stream",
        "content-encoding": "binary",
        "headers": {DEATH: death},
        "properties": {"body_encoding": "base64", "delivery_tag": str(uuid4())},
    }
