"""Remote-control commands for workers with random arguments, names and envelopes, and good tasks between."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

from celery.worker.control import Panel
from kombu import Exchange

from opa import get_plugin_manager
from opa.tasks.application import application_of
from tests.attacks.place import Report, attacked_tasks

NUMBER = 3000
LEFT_OUT = {"shutdown", "pool_restart", "memdump", "memsample", "objgraph"}
"""Those that are meant to end a worker, or need what is not installed."""
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 40, 10**6, 2**63, 2**70, 1.5, -0.1, 1e300, float("nan"), float("inf")),
    *(
        "",
        "x",
        "-1/m",
        "10/m",
        "nan/s",
        "jobs.double",
        "celery",
        "opa.dead",
        "amq.direct",
        "x" * 100_000,
        "\ud800",
        "a\nb",
    ),
    *([], [1], [[]], ["a"] * 5000, {}, {"a": 1}, {"a": {"b": ["c"]}}, {"x-priority": "x"}, "TERM", "KILL", 19),
]
NAMES = [
    *("task_name", "rate_limit", "soft", "hard", "n", "max", "min", "task_id", "terminate", "signal", "headers", "ids"),
    *("from_node", "revoked", "id", "topic", "action", "taskinfoitems", "queue", "exchange", "exchange_type"),
    *("routing_key", "consumer_arguments", "queue_arguments", "no_ack", "durable", "with_defaults", "safe", "samples"),
]
PATTERNS = ["(a+)+$", "(.+)+x", ".*", "celery@.*", "(", "[", "x" * 5000, "a?" * 30 + "a" * 30, "*" * 300]


def main() -> None:
    """Attack it, and say what was found; the seed may be given as an argument."""
    seed = int(sys.argv[1]) if sys.argv[1:] else random.randrange(10**6)
    print(f"seed {seed}")
    dice, report = random.Random(seed), Report()
    commands = sorted(Panel.data.keys() - LEFT_OUT)
    with attacked_tasks() as tasks:
        worker = tasks.worker("-c 1")
        with tasks.sending():
            double = tasks.module("jobs").double
            app: Any = application_of(get_plugin_manager())
            with app.connection_for_write() as connection, connection.Producer() as producer:
                exchange = Exchange("celery.pidbox", type="fanout", durable=False)
                for number in range(NUMBER):
                    body = command(dice, commands)
                    try:
                        producer.publish(body, exchange=exchange, declare=[exchange], serializer="json", retry=True)
                    except (UnicodeError, ValueError):
                        continue
                    if number % 50 == 0:
                        report.expect(runs(double, number), f"no task runs after {number} commands, {body!r:.300}")
            report.expect(runs(double, NUMBER), "no task runs in the end")
            report.expect(bool(app.control.inspect(timeout=5).ping()), "it answers no command")
        report.expect("Traceback" not in worker.log, "the log has a traceback")
        report.expect(worker.log.count("Connected to") == 1, "it has reconnected")
        print(*(line["message"][:300] for line in worker.lines if line["level"] == "ERROR"), sep="\n")
        report.expect(worker.stop() == 0, "it does not stop")
    report.exit()


def command(dice: random.Random, commands: list[str]) -> Any:
    """A command that nobody would send."""
    if dice.random() < 0.05:
        return dice.choice(VALUES)
    names = dice.sample(NAMES, dice.randrange(5))
    body: dict[str, Any] = {
        "method": dice.choice(commands) if dice.random() < 0.95 else dice.choice(VALUES),
        "arguments": {name: dice.choice(VALUES) for name in names} if dice.random() < 0.95 else dice.choice(VALUES),
    }
    if dice.random() < 0.1:
        body |= {"pattern": dice.choice([*PATTERNS, *VALUES]), "matcher": dice.choice(["pcre", "glob", *VALUES])}
    if dice.random() < 0.1:
        body["destination"] = dice.choice(VALUES)
    if dice.random() < 0.1:
        body |= {"reply_to": dice.choice([*VALUES, {"exchange": "celery", "routing_key": "celery"}]), "ticket": "t"}
    return body


def runs(double: Any, number: int) -> bool:
    """Whether a task runs soon."""
    began = time.monotonic()
    try:
        return bool(double.delay(number).get(timeout=30) == 2 * number)
    except Exception as error:
        print(repr(error), f"after {time.monotonic() - began:.0f} s")
        return False


if __name__ == "__main__":
    main()
