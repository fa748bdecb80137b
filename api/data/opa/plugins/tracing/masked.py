"""What of a span may be seen by whoever reads traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from opa import mask_text

DROPPED = frozenset({"url.query", "http.target", "http.url", "url.full", "redis.search.query"})
"""Attributes that are not exported: queries of URLs and searches have whatever a caller has written."""
_DROPPED_PREFIX = "redis.search.xdoc_"  # documents that a search has found
LONGEST = 16_384
"""Characters of a text, such as a stack trace or the names of the commands of a pipeline."""
LONGEST_NAME = 200
MASK = "***"


def masked_span(span: ReadableSpan) -> ReadableSpan:
    """`span`, or a copy in which secrets are masked as in the log, and which has no query of a URL."""
    attributes, has_changed = _attributes(span.attributes or {})
    events = [_event(event) for event in span.events]
    description = span.status.description
    shown = None if description is None else _text(description)
    name = _name(span.name, attributes)
    if not has_changed and shown == description and name == span.name and not any(map(_differs, events, span.events)):
        return span
    return ReadableSpan(
        name,
        span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, shown),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _name(name: str, attributes: Mapping[str, Any]) -> str:
    if attributes.get("db.system") == "redis" and "db.redis.args_length" in attributes:
        name = name.split(maxsplit=1)[0] if name.strip() else name  # a client may have put arguments behind it
    return mask_text(name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…")


def _attributes(given: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    shown: dict[str, Any] = {}
    has_changed = False
    is_command = "db.redis.args_length" in given
    for key, value in given.items():
        if key in DROPPED or key.startswith(_DROPPED_PREFIX):
            has_changed = True
            continue
        text = value
        if isinstance(value, str | Sequence) and value and _is_secret(key):
            text = MASK
        elif isinstance(value, str):
            text = _text(value)
            if is_command and key in ("db.statement", "db.query.text"):
                text = _command(text)
        elif isinstance(value, Sequence) and any(isinstance(item, str) for item in value):
            text = tuple(_text(item) if isinstance(item, str) else item for item in value)
        has_changed = has_changed or text != value
        shown[key] = text
    return shown, has_changed


def _is_secret(name: str) -> bool:
    """Whether whatever has this name is masked in a text."""
    text = f"{name}=any"
    return mask_text(text) != text


def _command(statement: str) -> str:
    """A command of redis with a `?` for each argument, also for those that were written behind its name."""
    first, *others = statement.split()
    return " ".join([first, *("?" for _ in others)])


def _event(event: Event) -> Event:
    attributes, has_changed = _attributes(event.attributes or {})
    return Event(event.name, attributes, event.timestamp) if has_changed else event


def _differs(event: Event, other: Event) -> bool:
    return event is not other


def _text(text: str) -> str:
    return mask_text(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
