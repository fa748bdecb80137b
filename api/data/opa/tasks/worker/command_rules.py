"""What the values of a command to workers may be.

A rate of -1 or a pool of no process stops a worker for good, a pool of a million ends its machine, and a regular
expression can hold it for ever.
"""

from __future__ import annotations

import inspect
import math
import re
import reprlib
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from celery.utils.time import rate
from celery.worker import control, state

from opa._util.masking.secrets import mask_text
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE, are_names

MAX_TEXT = 255
"""Characters of a name, an id, or a pattern."""
MAX_IDS = 1000
"""The ids in one command: to revoke one costs two calls of the server of results, in a thread."""
MAX_SHARED_IDS = 50_000
"""The revoked ids that a worker tells another one; Celery itself keeps no more."""
MAX_STAMPS = 10_000
"""The stamps by which tasks are revoked, of all commands together: Celery keeps them for good."""
MAX_FIELDS = 20
MAX_REPETITIONS = 3
"""In a regular expression: with so many the longest name is matched in the blink of an eye."""
YEAR = 366 * 24 * 3600
GROWTH, SMALL_POOL = 10, 32
"""A pool grows to so many times the size with which it was started, or to this size where that is more."""
SIGNALS = ("TERM", "INT", "QUIT", "KILL", "ABRT", "HUP", "USR1")
"""Those that end a task. Others would leave its process standing still, for example."""
QUEUE_OPTIONS = {
    *("durable", "auto_delete", "exclusive", "queue_durable", "queue_auto_delete", "queue_exclusive"),
    *("exchange_durable", "exchange_auto_delete", "expires", "message_ttl", "max_length", "max_length_bytes"),
    *("max_priority", "queue_arguments", "exchange_arguments", "consumer_arguments", "binding_arguments"),
}
"""What a new queue may be told besides its names: with `no_ack`, for example, its tasks would be lost."""
ARGUMENTS = {name for name in QUEUE_OPTIONS if name.endswith("_arguments")}
PRIORITIES = range(-(2**31), 2**31)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60


class RefusedError(Exception):
    """A command has values that make no sense; the text says which."""


def check_envelope(body: Any) -> None:
    """Whether a command says in a way that makes sense what it is, and which workers it is for.

    Raises:
        RefusedError: it does not.
    """
    if not isinstance(body, dict):
        raise RefusedError(f"it is {shown(body)}, and no command")
    _refuse_unless(_is_name(body.get("method")), "its name", body.get("method"), "the name of a command")
    arguments = body.get("arguments")
    _refuse_unless(isinstance(arguments, dict | None), "what it is called with", arguments, "a dict")
    destination = body.get("destination")
    _refuse_unless(isinstance(destination, str | list | None), "destination", destination, "a list of workers")
    reply_to = body.get("reply_to")
    leads_there = isinstance(reply_to, dict) and reply_to.keys() >= {"exchange", "routing_key"}
    _refuse_unless(not reply_to or leads_there, "reply_to", reply_to, "an exchange and a routing key")
    pattern, matcher = body.get("pattern"), body.get("matcher")
    for name, value in (("pattern", pattern), ("matcher", matcher)):
        _refuse_unless(value is None or _is_name(value), name, value, "a short text")
    if pattern and matcher == "pcre":
        _refuse_unless(is_quick(pattern), "pattern", pattern, "a regular expression that is surely matched at once")


def is_quick(pattern: str) -> bool:
    """Whether to match a name by a regular expression takes no long time, whatever the name is.

    So it has at most three repetitions, and none of a group, which may have others inside.
    """
    plain = re.sub(r"\\.|\[\^?\]?[^]]*\]", "_", pattern).replace("(?", "(")
    return len(re.findall(r"[*+?{]", plain)) <= MAX_REPETITIONS and not re.search(r"\)[*+?{]", plain)


def check_arguments(run: Callable[..., Any], method: str, arguments: Mapping[str, Any], worker: Any) -> None:
    """Whether a command can be run with these arguments.

    Raises:
        RefusedError: it cannot, or had better not be.
    """
    try:
        inspect.signature(run).bind(worker, **arguments)
    except TypeError as error:
        raise RefusedError(f"{error}") from None
    for name, (fits, what) in RULES.get(method, {}).items():
        if name in arguments:
            _refuse_unless(fits(arguments[name]), name, arguments[name], what)
    if check := CHECKS.get(method):
        check(worker, **arguments)


def _refuse_unless(fits: bool, name: str, value: Any, what: str) -> None:
    if not fits:
        raise RefusedError(f"{name} is {shown(value)}, not {what}")


def shown(value: Any) -> str:
    """A value for a line of the log: masked, and not too long."""
    return mask_text(_short.repr(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _is_limit(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and 0 <= value <= YEAR)


def _is_rate(value: Any) -> bool:
    if not isinstance(value, str | int | float | None) or isinstance(value, bool):
        return False
    try:
        tasks_in_a_second = float(rate(value))  # type: ignore[arg-type]  # it takes all of these
    except (KeyError, OverflowError, ValueError):
        return False
    return tasks_in_a_second == 0 or (1 / YEAR <= tasks_in_a_second < math.inf)


def _are_ids(most: int) -> Callable[[Any], bool]:
    def are_ids(value: Any) -> bool:
        return _is_name(value) or (isinstance(value, list) and len(value) <= most and all(map(_is_name, value)))

    return are_ids


def _are_stamps(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= MAX_IDS and all(_is_name(each) and "=" in each for each in value)
    ids = _are_ids(MAX_IDS)
    return (
        isinstance(value, dict)
        and len(value) <= MAX_IDS
        and all(map(_is_name, value))
        and all(map(ids, value.values()))
    )


def _is_signal(value: Any) -> bool:
    numbers = {int(signal.Signals[f"SIG{name}"]) for name in SIGNALS}
    if isinstance(value, str):
        return value.upper().removeprefix("SIG") in SIGNALS
    return value is None or (_is_whole(value) and value in numbers)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool | None)


def _are_consumer_arguments(value: Any) -> bool:
    # RabbitMQ ends the channel of all tasks where it does not take one of them.
    return value is None or (
        isinstance(value, dict)
        and value.keys() <= {"x-priority"}
        and all(_is_whole(priority) and priority in PRIORITIES for priority in value.values())
    )


def _check_known(worker: Any, task_name: Any = None, **_: Any) -> None:
    if task_name not in worker.app.tasks:
        raise RefusedError(f"no task is called {shown(task_name)} here")


def _check_pool(worker: Any, n: int, *, grows: bool) -> None:
    pool = worker.consumer.pool
    if not hasattr(pool, "grow"):
        raise RefusedError("a pool of this kind has one size")
    if grows:
        _check_size(worker, pool.num_processes + n)
    elif n >= pool.num_processes:
        raise RefusedError(f"the pool has {pool.num_processes}, and keeps one at least")


def _check_size(worker: Any, size: int) -> None:
    controller = worker.consumer.controller
    most = max(SMALL_POOL, GROWTH * (controller.max_concurrency or controller.concurrency))
    if size > most:
        raise RefusedError(f"the pool would have {size}; from the size with which it was started it grows to {most}")


def _check_growth(worker: Any, n: int = 1, **_: Any) -> None:
    _check_pool(worker, n, grows=True)


def _check_shrinking(worker: Any, n: int = 1, **_: Any) -> None:
    _check_pool(worker, n, grows=False)


def _check_autoscale(worker: Any, max: int | None = None, min: int | None = None) -> None:
    scaler = worker.consumer.controller.autoscaler
    if not scaler:
        raise RefusedError("the worker was started without --autoscale")
    most, least = scaler.max_concurrency if max is None else max, scaler.min_concurrency if min is None else min
    if least > most:
        raise RefusedError(f"min would be {least}, and max {most}")
    _check_size(worker, most)


def _check_stamps(_worker: Any, headers: Mapping[str, Any] | list[str], **_: Any) -> None:
    asked = headers.values() if isinstance(headers, Mapping) else headers
    if (
        sum(len(each) if isinstance(each, list) else 1 for each in (*state.revoked_stamps.values(), *asked))
        > MAX_STAMPS
    ):
        raise RefusedError(f"more than {MAX_STAMPS} stamps would be revoked")


def _check_queue(_worker: Any, queue: Any, **options: Any) -> None:
    names = [options.pop(name, None) for name in ("exchange", "exchange_type", "routing_key")]
    if queue == DEAD_LETTER_QUEUE or not are_names(queue, *names):
        raise RefusedError(f"it names no queue for tasks: {', '.join(map(shown, (queue, *names)))}")
    if unknown := sorted(options.keys() - QUEUE_OPTIONS):
        raise RefusedError(f"a queue for tasks has no option {', '.join(unknown)}")
    for name in ARGUMENTS & options.keys():
        _refuse_unless(isinstance(options[name], dict | None), name, options[name], "a dict")
    given = options.get("consumer_arguments")
    _refuse_unless(_are_consumer_arguments(given), "consumer_arguments", given, "an x-priority that is a number")


def _check_given_up_queue(_worker: Any, queue: Any, **_: Any) -> None:
    _refuse_unless(are_names(queue), "queue", queue, "the name of a queue")


def _with_aliases(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, entry in table.items():
        yield name, entry
        if alias := control.Panel.meta[name].alias:
            yield alias, entry


Rule = tuple[Callable[[Any], bool], str]
NAME: Rule = (_is_name, "a name")
NUMBER: Rule = (_is_positive, "a number from 1 on")
SECONDS: Rule = (_is_limit, "a number of seconds")
IDS: Rule = (_are_ids(MAX_IDS), f"the ids of at most {MAX_IDS} tasks")
SIGNAL: Rule = (_is_signal, f"one of {', '.join(SIGNALS)}")
SWITCH: Rule = (_is_switch, "true or false")

RULES: dict[str, dict[str, Rule]] = dict(
    _with_aliases(
        {
            "rate_limit": {
                "task_name": NAME,
                "rate_limit": (_is_rate, "a number of tasks in a second, or one as 10/m; 0 is no limit"),
            },
            "time_limit": {"task_name": NAME, "soft": SECONDS, "hard": SECONDS},
            "pool_grow": {"n": NUMBER},
            "pool_shrink": {"n": NUMBER},
            "autoscale": {
                "max": (lambda value: value is None or _is_positive(value), "a number from 1 on"),
                "min": (lambda value: value is None or value == 0 or _is_positive(value), "a number from 0 on"),
            },
            "revoke": {"task_id": IDS, "terminate": SWITCH, "signal": SIGNAL},
            "terminate": {"task_id": IDS, "signal": SIGNAL},
            "revoke_by_stamped_headers": {
                "headers": (_are_stamps, "stamps by their names"),
                "terminate": SWITCH,
                "signal": SIGNAL,
            },
            "query_task": {"ids": IDS},
            "hello": {
                "from_node": NAME,
                "revoked": (lambda value: value is None or _are_ids(MAX_SHARED_IDS)(value), "the ids of tasks"),
            },
            "election": {"id": NAME, "topic": NAME},
            "registered": {
                "taskinfoitems": (lambda value: value is None or _are_ids(MAX_FIELDS)(value), "a few attributes"),
            },
        }
    )
)
"""What a value must be, and the words for that, by the command and its argument."""

CHECKS: dict[str, Callable[..., None]] = {
    "rate_limit": _check_known,
    "time_limit": _check_known,
    "pool_grow": _check_growth,
    "pool_shrink": _check_shrinking,
    "autoscale": _check_autoscale,
    "revoke_by_stamped_headers": _check_stamps,
    "add_consumer": _check_queue,
    "cancel_consumer": _check_given_up_queue,
}
"""What else is looked at, with the worker as it is."""
