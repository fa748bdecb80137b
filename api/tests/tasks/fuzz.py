"""Messages of every kind that can be sent to a worker, well-formed ones among them."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import pickle
import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Any

import amqp
from amqp.serialization import dumps as amqp_table
from redis import Redis

TASK = "fuzzed.note"
MARK = re.compile(rb"fuzz-(\d+)-")
"""What each message has somewhere, by which it is found again."""


class Raw(bytes):
    """Bytes that stand in the place of JSON."""


MISSING = object()
DEEP_LIST = Raw(b"[" * 700 + b"]" * 700)
DEEPER_LIST = Raw(b"[" * 60_000 + b"]" * 60_000)
DEEP_DICT = Raw(b'{"a":' * 700 + b"1" + b"}" * 700)
LONG_NUMBER = Raw(b"9" * 5000)

VALUES: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "a negative number": -1,
    "zero": 0,
    "a large number": 2**40,
    "a fraction": 1.5,
    "an empty text": "",
    "a text": "text",
    "a huge text": "x" * 100_000,
    "a text with control characters": "\x1b[2J\r\n\0",
    "a lone surrogate": "\ud800",
    "an empty list": [],
    "a list": [1, "two", None],
    "a list of dicts": [{"task": 5}],
    "an empty dict": {},
    "a dict": {"a": 1},
    "a marked value": {"__type__": "decimal", "__value__": "1"},
    "an unknown marked value": {"__type__": "os.system", "__value__": "true"},
    "a nested list": [[[[[[[[[[1]]]]]]]]]],
    "a deeply nested list": DEEP_LIST,
    "a deeply nested dict": DEEP_DICT,
    "a number of 5,000 digits": LONG_NUMBER,
    "not a number": float("nan"),
    "infinity": float("inf"),
}
ONLY_JSON = {"a deeply nested list", "a deeply nested dict", "a number of 5,000 digits"}
"""What RabbitMQ's own format cannot say in this way."""

HEADERS = (
    *("lang", "task", "id", "root_id", "parent_id", "group", "group_index", "shadow", "eta", "expires", "retries"),
    *("timelimit", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers"),
    *(
        "stamps",
        "compression",
        "request_id",
        "x-delivery-count",
        "x-death",
        "x-opa-death",
        "get",
        "__class__",
        "self",
        "chain",
    ),
    *("callbacks", "errbacks", "chord", "args", "kwargs", "properties", "delivery_info", "hostname", "reply_to"),
)
PROPERTIES = ("correlation_id", "reply_to", "priority", "delivery_mode", "expiration", "type")
OPTIONS = ("callbacks", "errbacks", "chain", "chord", "utc")


@dataclass
class Sent:
    """A message.

    Attributes:
        number: by which it is found again.
        kind: what is wrong with it, for the table.
        headers, properties, body: as they are sent; a `Raw` among them is written as it is.
        item: on redis, what is put into the queue in the place of a message.
        raw_properties: on RabbitMQ, the properties as bytes.
    """

    number: int
    kind: str
    headers: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    item: bytes | None = None
    raw_properties: bytes | None = None
    envelope: dict[str, Any] = field(default_factory=dict)
    copies: int = 1


def good(number: int) -> Sent:
    """A message as Celery sends it."""
    task_id = f"fuzz-{number}-"
    return Sent(
        number,
        "a task as it should be",
        headers={
            "lang": "py",
            "task": TASK,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "group": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": f"({number},)",
            "kwargsrepr": "{}",
            "origin": "fuzz",
            "ignore_result": True,
        },
        properties={
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "correlation_id": task_id,
            "message_id": task_id,
            "delivery_mode": 2,
        },
        body=body_of([number], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
    )


def body_of(*parts: Any) -> bytes:
    return b"[" + b",".join(as_json(part) for part in parts) + b"]"


def as_json(value: Any) -> bytes:
    """JSON in which a `Raw` stands as it is."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, dict):
        return b"{" + b",".join(as_json(str(key)) + b":" + as_json(item) for key, item in value.items()) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b",".join(map(as_json, value)) + b"]"
    return json.dumps(value).encode()


def messages(count: int, random_: random.Random, broker: str) -> Iterator[Sent]:
    """`count` messages; about one in four is as it should be."""
    makers = [
        _header,
        _header,
        _header,
        _body,
        _body,
        _option,
        _compressed,
        _protocol_1,
        _content_type,
        _doubled,
        _by_id,
    ]
    makers += [_envelope, _item] if broker == "redis" else [_property, _unreadable]
    for number in range(count):
        sent = good(number)
        if random_.random() < 0.75:
            random_.choice(makers)(sent, random_)
        yield sent


def _header(sent: Sent, random_: random.Random) -> None:
    name = random_.choice(HEADERS)
    kind, value = random_.choice(list(VALUES.items()))
    sent.kind = f"header {name}: {kind}"
    _set(sent.headers, name, value)


def _set(fields: dict[str, Any], name: str, value: Any) -> None:
    if value is MISSING:
        fields.pop(name, None)
    else:
        fields[name] = value


def _property(sent: Sent, random_: random.Random) -> None:
    name = random_.choice(PROPERTIES)
    value = random_.choice(["", "x" * 200, "\x1b[2J", "5"])
    sent.kind = f"property {name}"
    sent.properties[name] = random_.choice([1, 2, 7]) if name in ("priority", "delivery_mode") else value
    if name == "expiration":
        sent.properties[name] = "86400000"


def _body(sent: Sent, random_: random.Random) -> None:
    number = sent.number
    mark = f"fuzz-{number}-"
    bodies: dict[str, bytes] = {
        "a number": b"5",
        "null": b"null",
        "true": b"true",
        "a text": as_json(mark),
        "a dict": as_json({"a": mark}),
        "an empty list": b"[]",
        "two parts": body_of([number], {}),
        "four parts": body_of([number], {}, {}, 1),
        "nothing": b"",
        "white space": b"   ",
        "its end is missing": body_of([number], {}, {})[:-3],
        "not UTF-8": b'[["\xff\xfe"], {}, {}]',
        "UTF-16": body_of([number], {}, {}).decode().encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + body_of([number], {}, {}),
        "NUL bytes": b"\0" * 100,
        "a pickle": pickle.dumps(([number], {}, {})),
        "arguments nested in 101 levels": body_of([number, Raw(b"[" * 101 + b"]" * 101)], {}, {}),
        "arguments nested in 700 levels": body_of([number, DEEP_LIST], {}, {}),
        "arguments nested in 60,000 levels": body_of([number, DEEPER_LIST], {}, {}),
        "a named argument nested in 700 levels": body_of([number], {"a": DEEP_DICT}, {}),
        "a number of 5,000 digits": body_of([LONG_NUMBER], {}, {}),
        "2 MB": body_of([number, "x" * 2_000_000], {}, {}),
        "arguments that are a dict": body_of({"a": number}, {}, {}),
        "arguments that are a text": body_of("args", {}, {}),
        "arguments that are null": body_of(None, {}, {}),
        "named arguments that are a list": body_of([number], [], {}),
        "named arguments that are null": body_of([number], None, {}),
        "options that are a list": body_of([number], {}, [1]),
        "options that are a text": body_of([number], {}, "embed"),
        "a dict with the same name twice": b'{"task": "a", "task": "b", "args": 5, "args": []}',
        "too many arguments": body_of([number, 2, 3], {}, {}),
        "unknown named arguments": body_of([number], {"nobody": 1}, {}),
        "a marked value as argument": body_of([number], {"more": VALUES["an unknown marked value"]}, {}),
        "a marked value that cannot be made": body_of(
            [number], {"more": {"__type__": "decimal", "__value__": "abc"}}, {}
        ),
        "a marked date that is none": body_of([number], {"more": {"__type__": "datetime", "__value__": 5}}, {}),
        "a marked dict with a list as key": body_of([number], {"more": {"__type__": "dict", "__value__": [[], 1]}}, {}),
        "not a number as argument": body_of([number], {"more": float("nan")}, {}),
        "a lone surrogate as argument": body_of([number], {"more": "\ud800"}, {}),
    }
    sent.kind, sent.body = random_.choice([(f"body: {kind}", body) for kind, body in bodies.items()])


def _option(sent: Sent, random_: random.Random) -> None:
    name = random_.choice(OPTIONS)
    kind, value = random_.choice(list(VALUES.items()))
    options: dict[str, Any] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    _set(options, name, value)
    sent.kind = f"option {name}: {kind}"
    sent.body = body_of([sent.number], {}, options)


def _compressed(sent: Sent, random_: random.Random) -> None:
    bomb = b"[" + b" " * 50_000_000 + b"]"
    packers: list[tuple[str, Any, Callable[[bytes], bytes]]] = [
        ("gzip", "application/x-gzip", zlib.compress),
        ("bzip2", "application/x-bz2", bz2.compress),
        ("lzma", "application/x-lzma", lzma.compress),
        ("gzip by another name", "gzip", zlib.compress),
        ("another gzip than it says", "application/x-gzip", gzip.compress),
        ("nothing, though it says gzip", "application/x-gzip", bytes),
        ("an unknown way", "application/x-nobody", bytes),
        ("brotli", "application/x-brotli", bytes),
        ("lzma with its end missing", "application/x-lzma", lambda body: lzma.compress(body)[:-8]),
    ]
    kind, name, pack_it = random_.choice(packers)
    sent.kind = f"compressed: {kind}"
    if random_.random() < 0.2 and "end" not in kind:
        sent.kind += ", 50 MB when it is unpacked"
        sent.body = _bomb(kind, pack_it, bomb)
    else:
        sent.body = pack_it(sent.body)
    sent.headers["compression"] = name


_bombs: dict[str, bytes] = {}


def _bomb(kind: str, pack_it: Callable[[bytes], bytes], content: bytes) -> bytes:
    if pack_it is bytes:
        return b"\0" * 100_000
    if kind not in _bombs:
        _bombs[kind] = pack_it(content)
    return _bombs[kind]


def _protocol_1(sent: Sent, random_: random.Random) -> None:
    fields = {
        "task": TASK,
        "id": f"fuzz-{sent.number}-",
        "args": [sent.number],
        "kwargs": {},
        "retries": 0,
        "eta": None,
        "expires": None,
        "utc": True,
        "callbacks": None,
        "errbacks": None,
        "timelimit": [None, None],
        "taskset": None,
        "chord": None,
    }
    sent.kind = "protocol 1: as it should be"
    sent.headers = {}
    if random_.random() < 0.8:
        name = random_.choice(list(fields))
        kind, value = random_.choice(list(VALUES.items()))
        _set(fields, name, value)
        sent.kind = f"protocol 1, field {name}: {kind}"
    if random_.random() < 0.2:
        sent.headers = {"task": TASK, "id": f"fuzz-{sent.number}-"}
        sent.kind += ", in both"
    sent.body = as_json(fields)


def _content_type(sent: Sent, random_: random.Random) -> None:
    types = ("application/x-python-serialize", "application/x-yaml", "application/data", "text/plain", "", "x" * 200)
    encodings = ("binary", "utf-16", "nobody", "base64", "", "utf-8")
    if random_.random() < 0.7:
        sent.properties["content_type"] = chosen = random_.choice(types)
        sent.kind = f"content type: {chosen[:40] or 'an empty text'}"
    else:
        sent.properties["content_encoding"] = chosen = random_.choice(encodings)
        sent.kind = f"content encoding: {chosen or 'an empty text'}"


def _doubled(sent: Sent, random_: random.Random) -> None:
    if random_.random() < 0.5:
        _body(sent, random_)
    sent.kind = f"twice, {sent.kind}"
    sent.copies = 2


def _by_id(sent: Sent, random_: random.Random) -> None:
    mine, other = f"fuzz-{sent.number}-", f"fuzz-{max(0, sent.number - random_.randrange(1, 9))}-"
    itself = {"task": TASK, "args": [sent.number], "kwargs": {}, "options": {"task_id": mine, "parent_id": mine}}
    forms: dict[str, Callable[[], None]] = {
        "its own parent": lambda: sent.headers.update(parent_id=mine, root_id=mine),
        "the id of another": lambda: sent.headers.update(id=other),
        "its own group": lambda: sent.headers.update(group=mine),
        "a chord that is itself": lambda: _with_options(sent, {"chord": itself}, group=mine),
        "a chord of nothing": lambda: _with_options(sent, {"chord": {}}, group=mine),
    }
    kind = random_.choice(list(forms))
    forms[kind]()
    sent.kind = f"references: {kind}"


def _with_options(sent: Sent, options: dict[str, Any], **headers: Any) -> None:
    sent.headers.update(headers)
    sent.body = body_of([sent.number], {}, options)


def _envelope(sent: Sent, random_: random.Random) -> None:
    names = ("body", "content-type", "content-encoding", "headers", "properties", "body_encoding", "delivery_tag")
    name = random_.choice((*names, "delivery_info", "exchange", "routing_key", "priority", "redelivered"))
    kind, value = random_.choice(list(VALUES.items()))
    sent.kind = f"envelope, {name}: {kind}"
    sent.envelope = {name: value}


def _item(sent: Sent, random_: random.Random) -> None:
    mark = f"fuzz-{sent.number}-".encode()
    items = {
        "a text": b'"' + mark + b'"',
        "a list": b'["' + mark + b'"]',
        "an empty dict with a mark": b'{"' + mark + b'": 1}',
        "not JSON": b"not JSON " + mark,
        "not UTF-8": b"\xff\xfe" + mark,
        "NUL bytes": b"\0" + mark,
        "a pickle": pickle.dumps(mark),
        "nested in 60,000 levels": b'["' + mark + b'",' + bytes(DEEPER_LIST) + b"]",
        "5 MB": b'["' + mark + b'", "' + b"x" * 5_000_000 + b'"]',
        "a number of 5,000 digits": b'["' + mark + b'",' + bytes(LONG_NUMBER) + b"]",
        "its end is missing": redis_item(good(sent.number))[:-20],
    }
    kind = random_.choice(list(items))
    sent.kind, sent.item = f"no message: {kind}", items[kind]


def _unreadable(sent: Sent, random_: random.Random) -> None:
    mark = f"fuzz-{sent.number}-".encode()
    nested = b""
    for _ in range(2000):
        nested = b"\x01aF" + pack(">I", len(nested)) + nested
    forms = {
        "headers nested in 2,000 levels": b"\x20\x00" + pack(">I", len(nested)) + nested,
        "a content type that is not UTF-8": b"\x80\x00\x02\xff\xfe",
        "a correlation id that is not UTF-8": b"\x04\x00\x02\xff\xfe",
        "a date out of range": b"\x20\x00" + pack(">I", 11) + b"\x01aT" + b"\x7f" + b"\xff" * 7,
        "a header that is not UTF-8": b"\x20\x00" + pack(">I", 9) + b"\x01aS" + pack(">I", 2) + b"\xff\xfe",
        "a header name that is not UTF-8": b"\x20\x00" + pack(">I", 8) + b"\x02\xff\xfeI" + pack(">i", 5),
        "bytes as header": b"\x20\x00" + pack(">I", 9) + b"\x01ax" + pack(">I", 2) + b"\xff\xfe",
    }
    kind = random_.choice(list(forms))
    sent.kind, sent.raw_properties, sent.body = f"properties: {kind}", forms[kind], mark


# -- sending


def redis_item(sent: Sent) -> bytes:
    """What kombu puts into a queue on redis, changed as the message says."""
    if sent.item is not None:
        return sent.item
    payload: dict[str, Any] = {
        "fuzz": f"fuzz-{sent.number}-",
        "body": base64.b64encode(sent.body).decode(),
        "content-type": sent.properties.get("content_type"),
        "content-encoding": sent.properties.get("content_encoding"),
        "headers": dict(sent.headers),
        "properties": {
            "correlation_id": sent.properties.get("correlation_id"),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": f"fuzz-{sent.number}-",
        },
    }
    for name, value in sent.envelope.items():
        places: Mapping[str, dict[str, Any]] = {
            "exchange": payload["properties"]["delivery_info"],
            "routing_key": payload["properties"]["delivery_info"],
            **dict.fromkeys(("body_encoding", "delivery_tag", "delivery_info", "priority"), payload["properties"]),
        }
        _set(places.get(name, payload), name, value)
    return as_json(payload)


def send_by_redis(client: Redis, sent: Sent) -> None:
    for _ in range(sent.copies):
        client.lpush("celery", redis_item(sent))


class RawMessage(amqp.Message):
    """A message whose properties are given as bytes."""

    def __init__(self, body: bytes, raw: bytes) -> None:
        super().__init__(body)
        self.raw = raw

    def _serialize_properties(self) -> bytes:
        return self.raw


def send_by_amqp(channel: amqp.Channel, sent: Sent) -> bool:
    """Whether it can be said in RabbitMQ's own format."""
    if sent.raw_properties is not None:
        message: amqp.Message = RawMessage(sent.body, sent.raw_properties)
    else:
        headers = {name: _as_table(value) for name, value in sent.headers.items()}
        try:
            amqp_table("F", (headers,))
        except Exception:
            return False
        message = amqp.Message(sent.body, application_headers=headers, **sent.properties)
    for _ in range(sent.copies):
        channel.basic_publish(message, exchange="", routing_key="celery")
    return True


def _as_table(value: Any) -> Any:
    if not isinstance(value, Raw):
        return value
    if value is LONG_NUMBER:
        return 2**62
    nested: Any = {"a": 1} if value is DEEP_DICT else []
    for _ in range(150):
        nested = {"a": nested} if value is DEEP_DICT else [nested]
    return nested
