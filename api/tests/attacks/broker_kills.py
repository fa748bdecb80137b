"""RabbitMQ is killed while tasks are sent to a queue that was just made: each that was confirmed is in the queue."""

from __future__ import annotations

import random
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import kombu
from kombu import Queue

from tests.attacks.place import Report, attacked_tasks
from tests.rabbitmq import RabbitMQ, rabbitmq_server

JOBS = """
from opa import task


@task(queue="mail", ignore_result=True)
def post(number):
    pass
"""
ROUNDS, SENDERS = 50, 3
LONGEST = 4.0
"""Seconds from the deletion of the queue until the kill; what RabbitMQ does not write at once, it writes after one."""


def main() -> None:
    """Kill it so many times as the argument says, or 50 times, and say what was lost."""
    rounds, dice, report = int(sys.argv[1]) if sys.argv[1:] else ROUNDS, random.Random(), Report()
    with rabbitmq_server() as server, attacked_tasks(broker=server.virtual_host()) as tasks:
        tasks.plugin("jobs.py", JOBS)
        with tasks.sending():
            post = tasks.module("jobs").post
            for count in range(rounds):
                delete(tasks.broker)
                after = dice.choice([dice.uniform(0, LONGEST), dice.uniform(1.2, 2.2)])
                confirmed = send_until_killed(server, post, after, count * 1_000_000)
                server.start()
                found = left(tasks.broker)
                lost = confirmed - (found or set())
                queue = "the queue has no leader" if found is None else f"{len(found)} in the queue"
                print(f"{count}: killed after {after:.2f} s, {len(confirmed)} confirmed, {queue}", flush=True)
                report.expect(not lost, f"round {count}: {len(lost)} of {len(confirmed)} are lost, after {after:.2f} s")
    report.exit()


def delete(broker: str) -> None:
    """Delete the queue."""
    with kombu.Connection(broker) as connection, suppress(Exception):
        Queue("mail", channel=connection.default_channel).delete()


def send_until_killed(server: RabbitMQ, post: Any, seconds: float, number: int) -> set[int]:
    """Send from several threads until RabbitMQ is killed; those that were confirmed."""
    confirmed, stop = set[int](), threading.Event()

    def send(mine: int) -> None:
        while not stop.is_set():
            with suppress(Exception):
                post.apply_async((mine,))
                confirmed.add(mine)
            mine += SENDERS
            time.sleep(0.01)

    threads = [threading.Thread(target=send, args=(number + index,)) for index in range(SENDERS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()
    return confirmed


def left(broker: str) -> set[int] | None:
    """The tasks in the queue; None where it does not answer."""
    found = set[int]()
    connection = kombu.Connection(broker, transport_options={"read_timeout": 10})
    try:
        channel: Any = connection.default_channel
        while (message := channel.basic_get("mail", no_ack=True)) is not None:
            found.add(channel.message_to_python(message).payload[0][0])
    except connection.channel_errors:
        return found  # it was never made
    except connection.connection_errors:
        return None
    finally:
        connection.collect(0.1)
    return found


if __name__ == "__main__":
    main()
