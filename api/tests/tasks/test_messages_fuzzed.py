"""Whatever is wrong with a message, that message goes to the dead letters, and the worker goes on with the others."""

from __future__ import annotations

import base64
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import amqp
import pytest
from redis import Redis

from opa import get_plugin_manager
from opa.tasks.application import application_of
from opa.tasks.brokers.connection import Connection
from opa.tasks.dead_letters.reader import dead_letters
from tests.serve.process import wait_until
from tests.tasks.fuzz import MARK, Sent, good, messages, send_by_amqp, send_by_redis
from tests.tasks.workers import TaskProject

COUNT = int(os.environ.get("FUZZ_MESSAGES", "250"))
"""On each broker. For a long run: FUZZ_MESSAGES=20000 FUZZ_SEED=2 make test ARGS='-n 0 -k fuzzed'."""
SEED = os.environ.get("FUZZ_SEED", "1")
ONLY = os.environ.get("FUZZ_ONLY", "")
WRITES_TABLE = bool(os.environ.get("FUZZ_WRITES_TABLE"))
PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"

PLUGIN = """
from redis import Redis

from opa import config, task

redis = Redis.from_url(config.NOTES_URL)


@task(bind=True)
def note(self, *args, **kwargs):
    redis.sadd("ran", self.request.id, *[f"fuzz-{number}-" for number in args if isinstance(number, int)])
"""


@pytest.mark.timeout(600 + COUNT // 20)
def test_no_message_ends_a_worker_or_is_lost(any_tasks: TaskProject) -> None:
    tasks = any_tasks
    tasks.plugin("fuzzed.py", PLUGIN)
    tasks.settings(NOTES_URL=tasks.backend)
    redis = Redis.from_url(tasks.backend)
    is_redis = tasks.broker.startswith("redis")
    with tasks.sending():
        worker = tasks.worker("-c 1", OPA_LOGLEVEL="warning")
        wanted = [*messages(COUNT, random.Random(SEED), "redis" if is_redis else "amqp"), good(COUNT)]
        sent = send_all(tasks, [one for one in wanted if ONLY in one.kind or one.number == COUNT])
        last = f"fuzz-{COUNT}-"
        wait_until(
            lambda: worker.process.poll() is not None or redis.sismember("ran", last),
            seconds=60 + COUNT / 20,
            what="the last message has run",
        )
        assert worker.process.poll() is None, worker.log[-5000:]
        assert "Unrecoverable" not in worker.log
        ran = numbers(redis.smembers("ran"))
        dead = wait_until_all_there(tasks, ran, {one.number for one in sent})
        with dead_letters(application_of(get_plugin_manager())) as held:
            listed = [one.letter for one in held]
        assert worker.stop() == 0

    lost = [f"{one.number}: {one.kind}" for one in sent if one.number not in ran | dead]
    assert not lost, "neither run nor kept: " + "; ".join(lost[:50])
    refused = [one.kind for one in sent if one.kind == "a task as it should be" and one.number not in ran - dead]
    assert not refused
    assert len(listed) >= len(dead)
    assert all(letter.id for letter in listed)
    if WRITES_TABLE:
        write_table("redis" if is_redis else "RabbitMQ", sent, ran, dead)


def send_all(tasks: TaskProject, wanted: Iterable[Sent]) -> list[Sent]:
    if tasks.broker.startswith("redis"):
        client = Redis.from_url(tasks.broker)
        for one in wanted:
            send_by_redis(client, one)
        return list(wanted)
    sent = []
    connection = amqp_connection(tasks.broker, confirm_publish=True)
    for one in wanted:
        try:
            if send_by_amqp(connection.channel(1), one):
                sent.append(one)
        except (amqp.exceptions.AMQPError, OSError):
            # RabbitMQ does not take it: a number that is none ends its own channel.
            connection.collect()
            connection = amqp_connection(tasks.broker, confirm_publish=True)
    connection.close()
    return sent


def wait_until_all_there(tasks: TaskProject, ran: set[int], sent: set[int]) -> set[int]:
    """The numbers of the dead letters, once all are there that did not run; or those that are there after a while."""
    found: set[int] = set()

    def all_there() -> bool:
        found.update(numbers(raw_letters(tasks)))
        return sent <= ran | found

    try:
        wait_until(all_there, seconds=20, what="all that did not run is among the dead letters")
    except AssertionError:
        return found  # the test says which are missing
    return found


def raw_letters(tasks: TaskProject) -> list[bytes]:
    """All that a dead letter holds."""
    if tasks.broker.startswith("redis"):
        items: Any = Redis.from_url(tasks.broker).lrange("opa.dead", 0, -1)
        return [item + b" " + base64.b64decode(json.loads(item).get("body") or "") for item in items]
    found = []
    with closing(amqp_connection(tasks.broker)) as connection:
        channel = connection.channel()
        while message := channel.basic_get("opa.dead"):
            body = message.body if isinstance(message.body, bytes) else message.body.encode()
            found.append(repr(message.properties).encode() + b" " + body)
        channel.close()
    return found


def amqp_connection(url: str, **options: Any) -> Any:
    """A connection of py-amqp."""
    return Connection(url, transport_options=options).connect()


def numbers(texts: Iterable[Any]) -> set[int]:
    return {int(number) for text in texts for number in MARK.findall(text)}


def write_table(broker: str, sent: list[Sent], ran: set[int], dead: set[int]) -> None:
    """Put what was sent and what became of it into the page."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for one in sent:
        group = one.kind.partition(":")[0]
        rows[group]["sent"] += 1
        rows[group]["run"] += one.number in ran
        rows[group]["dead"] += one.number in dead
    lines = ["| message | sent | run | dead letters | lost |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {group} | {row['sent']:,} | {row['run']:,} | {row['dead']:,} | 0 |" for group, row in sorted(rows.items())
    ]
    begin, end = f"<!-- {broker}: begin -->\n", f"<!-- {broker}: end -->"
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(before + begin + "\n".join(lines) + "\n" + end + rest.partition(end)[2])
