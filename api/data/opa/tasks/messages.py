"""What a message must be like for a worker to take it as a task; everything else goes to the dead letters as it is.

Celery and kombu take a message for granted: a header of another type than they expect ends the worker that reads it.
The fields are those of Celery's protocols 2 and 1: https://docs.celeryq.dev/en/stable/internals/protocol.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from celery.utils.time import maybe_iso8601, maybe_make_aware, timezone
from kombu.asynchronous.timer import to_timestamp

from opa._util.nesting import deeper_than
from opa._util.words import kind_of
from opa.errors import OpaError
from opa.tasks.brokers.rabbitmq import UNREADABLE
from opa.tasks.codec import Limits
from opa.tasks.headers import MAX_NAME_LENGTH
from opa.tasks.serializer import CONTENT_TYPE, Unread, decode

if TYPE_CHECKING:
    from kombu import Message

MAX_TIME_LIMIT = 10 * 365 * 86400
"""Seconds of a time limit."""
MAX_RETRIES = 2**31
ENVELOPE = 2
"""An argument stands in the list of arguments, and that in the body."""


class UnfitMessageError(OpaError):
    """A message that is no task which a worker could run; the text never repeats what it holds."""


def check(message: Message, limits: Limits) -> None:
    """Check a message before Celery looks at it. What is read of its body here, Celery finds read in this process.

    Raises:
        UnfitMessageError: no worker could run it.
    """
    if UNREADABLE in message.headers:
        raise UnfitMessageError(f"its properties cannot be read ({message.headers[UNREADABLE]})")
    if message.errors:
        raise UnfitMessageError(str(message.errors[0][1]))
    check_headers(message.headers, limits)
    properties: Mapping[str, Any] = message.properties
    for name, value in properties.items():
        if isinstance(value, dict | list) and name != "application_headers" and deeper_than(limits.depth, value):
            raise UnfitMessageError("its properties are nested too deeply")
    read_body(message.headers, message.content_type, message.body, limits, read=lambda _: message.payload)


def check_headers(headers: Any, limits: Limits) -> None:
    """Check what stands beside the body of a message.

    Args:
        headers: of protocol 2; those of protocol 1 stand in the body.
        limits: `depth` holds for a header too.

    Raises:
        UnfitMessageError: something there is not as a worker needs it.
    """
    if not isinstance(headers, Mapping):
        raise UnfitMessageError(f"its headers are {kind_of(headers)}")
    if "task" in headers:
        _check_fields(headers)
        if not _EMBEDDED.isdisjoint(headers):
            _check_embedded(headers)
    for name, value in headers.items():
        if value and isinstance(value, dict | list | tuple) and deeper_than(limits.depth, value):
            raise UnfitMessageError(f"its header '{str(name)[:80]}' is nested too deeply")


def read_body(
    headers: Mapping[str, Any],
    content_type: Any,
    body: Any,
    limits: Limits,
    read: Callable[[bytes | str], Any] = decode,
) -> Any:
    """The body of a message, as Celery takes it: `[args, kwargs, embed]`, or the dict of protocol 1.

    Raises:
        UnfitMessageError: it is not JSON, not one of the two, or larger or deeper than `limits`.
    """
    if content_type != CONTENT_TYPE:
        shown = f"it is {content_type[:80]}" if isinstance(content_type, str) and content_type else "it is of no type"
        raise UnfitMessageError(f"{shown}, and a worker reads JSON alone")
    if not isinstance(body, bytes | str):
        raise UnfitMessageError("it has no content")
    if len(body) > limits.bytes:
        raise UnfitMessageError(f"it has {len(body)} bytes, and TASK_MAX_BYTES is {limits.bytes}")
    try:
        with Unread():
            payload = read(body)
    except Exception as error:
        raise UnfitMessageError(f"its content is not JSON ({type(error).__name__})") from error
    if _may_be_deep(body, limits.depth) and deeper_than(limits.depth + ENVELOPE, payload):
        raise UnfitMessageError(f"its content is nested too deeply, and TASK_MAX_DEPTH is {limits.depth}")
    _check_payload(headers, payload)
    return payload


def _may_be_deep(body: bytes | str, depth: int) -> bool:
    opened = body.count(b"[") + body.count(b"{") if isinstance(body, bytes) else body.count("[") + body.count("{")
    return opened > depth


def _check_payload(headers: Mapping[str, Any], payload: Any) -> None:
    if isinstance(payload, dict):
        # Protocol 1, or the mixture of both: what stands in the headers wins.
        if "task" not in headers and "task" not in payload:
            raise UnfitMessageError("it names no task")
        _check_fields({**payload, **headers})
        if "task" in headers and "args" not in payload:
            raise UnfitMessageError("its content has no arguments")
        args, kwargs, embed = payload.get("args", []), payload.get("kwargs", {}), payload
        if not isinstance(payload.get("utc", True), bool):
            raise UnfitMessageError("'utc' is neither true nor false")
    elif not headers.get("task"):
        raise UnfitMessageError("it names no task")
    elif isinstance(payload, list) and len(payload) == 3:
        args, kwargs, embed = payload
    else:
        raise UnfitMessageError("its content is not a list of arguments, named arguments and options")
    if not isinstance(args, list):
        raise UnfitMessageError(f"its arguments are {kind_of(args)}, not a list")
    if not isinstance(kwargs, dict) or not all(isinstance(name, str) for name in kwargs):
        raise UnfitMessageError("its named arguments are not a dict of names and values")
    _check_embedded(embed)


def _check_embedded(embed: Any) -> None:
    """What is to be sent when the task is done."""
    if embed is None:
        return
    if not isinstance(embed, dict):
        raise UnfitMessageError(f"its options are {kind_of(embed)}, not a dict")
    for name in ("callbacks", "errbacks", "chain"):
        signatures = embed.get(name)
        if signatures is not None and not (isinstance(signatures, list) and all(map(_is_signature, signatures))):
            raise UnfitMessageError(f"'{name}' is not a list of tasks")
    if embed.get("chord") is not None and not _is_signature(embed["chord"]):
        raise UnfitMessageError("'chord' is not a task")


def _is_signature(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("task"), str)
        and isinstance(value.get("args", []), list)
        and isinstance(value.get("kwargs", {}), dict)
        and isinstance(value.get("options", {}), dict)
    )


def _check_fields(fields: Mapping[str, Any]) -> None:
    for name in _NAMES:
        value = fields.get(name)
        if not value or not _is_short_text(value):
            raise UnfitMessageError(f"'{name}' should be a text of {MAX_NAME_LENGTH} characters at most")
    for name, (is_fit, expected) in _FIELDS.items():
        if (value := fields.get(name)) is not None and not is_fit(value):
            raise UnfitMessageError(f"'{name}' should be {expected}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_short_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME_LENGTH and (value.isascii() or _is_unicode(value))


def _is_unicode(text: str) -> bool:
    """Whether it is a text that can be written: JSON can say half of a surrogate pair, which is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_RETRIES


def _is_time(value: Any) -> bool:
    try:
        # As Celery's worker reckons with it.
        point: Any = maybe_iso8601(value)
        to_timestamp(timezone.to_system(maybe_make_aware(point, timezone.utc)))
    except (AttributeError, OverflowError, TypeError, ValueError):
        return False
    return True


def _are_limits(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_limit, value))


def _is_limit(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= MAX_TIME_LIMIT
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


_EMBEDDED = frozenset({"callbacks", "errbacks", "chain", "chord"})
_NAMES = ("task", "id")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "root_id": (_is_short_text, "a text"),
    "parent_id": (_is_short_text, "a text"),
    "group": (_is_short_text, "a text"),
    "taskset": (_is_short_text, "a text"),
    "shadow": (_is_short_text, "a text"),
    "lang": (_is_short_text, "a text"),
    "origin": (_is_text, "a text"),
    "argsrepr": (_is_text, "a text"),
    "kwargsrepr": (_is_text, "a text"),
    "eta": (_is_time, "a time"),
    "expires": (_is_time, "a time"),
    "retries": (_is_count, "a count"),
    "group_index": (_is_count, "a count"),
    "replaced_task_nesting": (_is_count, "a count"),
    "timelimit": (_are_limits, "two numbers of seconds"),
    "ignore_result": (_is_switch, "true or false"),
    "stamped_headers": (_are_texts, "a list of texts"),
    "stamps": (_is_dict, "a dict"),
}
