"""Messages of tasks that wait for their turn: sent on as they came, to the queue that they came from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from kombu import Exchange
from kombu.transport.native_delayed_delivery import calculate_routing_key

from opa.tasks.brokers.delays import ENTRANCE
from opa.tasks.headers import TICKET, WAITS

LONGEST_PARKED = 16_384
"""Characters of a message that are kept in redis, so that it can be sent as soon as its turn comes."""
LONGEST_DELAY = 3600.0
LONGEST_IN_WORKER = 600.0
"""Seconds that a copy of a message is delayed at most, and where it waits in the memory of a worker."""

CALLED_PRIORITY = 5
"""Of a message whose turn has come, on RabbitMQ: from 5 on a quorum queue gives it before others."""

_OF_BROKER = frozenset({"compression", "x-delivery-count", "x-acquired-count", "x-death", "eta"})
_OF_DEATH = ("x-first-death-", "x-last-death-", "x-opa-death")
_DELAY = re.compile(r"(?:[01]\.){28}")
_DELAYED, _DELIVERED = "celery_delayed_", "celery_delayed_delivery"
"""How the exchanges begin by which a message that has waited comes, and the one that gives it to its queue."""
_PROPERTIES = ("correlation_id", "reply_to", "priority")


def raw_message(message: Any) -> dict[str, Any]:
    """All of a message that is needed to send it again."""
    info = message.delivery_info or {}
    headers = {
        name: value
        for name, value in message.headers.items()
        if name not in _OF_BROKER and not name.startswith(_OF_DEATH)
    }
    properties = {name: message.properties.get(name) for name in _PROPERTIES}
    if TICKET in headers and properties["priority"] == CALLED_PRIORITY:
        properties["priority"] = 0  # it was called, and has to wait again
    body = message.body
    exchange = info.get("exchange") or ""
    return {
        "body": body if isinstance(body, str) else bytes(body).decode(),
        "type": message.content_type,
        "encoding": message.content_encoding,
        "headers": headers,
        "exchange": _DELIVERED if exchange.startswith(_DELAYED) else exchange,
        "routing_key": _DELAY.sub("", info.get("routing_key") or "", count=1),
        "is_fresh": not (WAITS in headers or info.get("redelivered") or message.headers.get("x-delivery-count")),
        "properties": properties,
    }


def parked(raw: Mapping[str, Any]) -> str:
    """A message as redis keeps it; empty where it is too large, or holds what JSON does not."""
    if len(raw["body"]) > LONGEST_PARKED:
        return ""
    try:
        text = json.dumps(raw)
    except (TypeError, ValueError):
        return ""
    return text if len(text) <= 2 * LONGEST_PARKED else ""


def longest_delay(app: Any) -> float:
    """Seconds that a copy may be delayed: redis gives what waits in a worker for long to another one."""
    if app.waits_in_broker:
        return LONGEST_DELAY
    visible: Any = app.conf.broker_transport_options.get("visibility_timeout")
    return min(LONGEST_IN_WORKER, visible / 3) if isinstance(visible, int | float) else LONGEST_IN_WORKER


def send_raw(app: Any, raw: Mapping[str, Any], ticket: str, *, delay: float = 0, waits: int = 1) -> None:
    """Send a message to its queue.

    Args:
        raw: as `raw_message` gives it.
        ticket: its place in the line.
        delay: seconds.
        waits: how often it was sent on.

    Raises:
        kombu.exceptions.OperationalError: the broker does not answer.
    """
    headers = {**raw["headers"], TICKET: ticket, WAITS: waits}
    routing_key: str = raw["routing_key"]
    exchange: Any = raw["exchange"]
    is_delayed = delay > 0 and app.waits_in_broker
    if is_delayed:
        if not exchange and (queue := app.amqp.queues.get(routing_key)) is not None:
            routing_key = queue.routing_key  # by which it is tied to the queues of the delays
        exchange = Exchange(ENTRANCE, type="topic")
        routing_key = calculate_routing_key(max(1, math.ceil(delay)), routing_key)
    elif delay > 0:
        headers["eta"] = (datetime.now(UTC) + timedelta(seconds=delay)).isoformat()
    properties = {name: value for name, value in raw["properties"].items() if value is not None}
    if delay <= 0 and app.waits_in_broker and not properties.get("priority"):
        properties["priority"] = CALLED_PRIORITY
    with app.producer_or_acquire() as producer:
        publish = partial(
            producer.publish,
            raw["body"],
            exchange=exchange,
            routing_key=routing_key,
            content_type=raw["type"],
            content_encoding=raw["encoding"],
            headers=headers,
            delivery_mode=2,
            mandatory=True,
            retry=True,
            retry_policy=app.conf.task_publish_retry_policy,
            **properties,
        )
        if not app.waits_in_broker:
            publish()
            return
        # The worker has tied its queues to those of the delays, and RabbitMQ may have been emptied since.
        sending = partial(app.amqp.delays.send, publish) if is_delayed else publish
        app.amqp.send_where_bound(sending, producer, None if is_delayed else _queue_behind(app, exchange, routing_key))


def _queue_behind(app: Any, exchange: str, routing_key: str) -> Any:
    """The queue that gets what is sent to this exchange; None where none is known."""
    for queue in app.amqp.queues.values():
        if (queue.exchange.name, queue.routing_key) == (exchange, routing_key):
            return queue
    return app.amqp.queues.get(routing_key) if not exchange else None
