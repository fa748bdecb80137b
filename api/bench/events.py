"""What an event costs beside one task that is given the same; two handlers of it are known in the process.

By `emit_sync` and `delay`: `emit` and `send` do the same in a thread, and the way there and back, which is the same for
both, takes as long again and differs from round to round.

Both are measured in processor time, in short rounds, one right after the other. The broker is the memory of the
process: what a system takes for a message over a socket is the same for both, and differs by more than is to be
measured. What lies where in the memory differs from process to process: so there are several, and what
counts is the median of the medians of their rounds.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bench.fresh import found_by
from bench.servers import FOLDER, STACK

PLUGINS = FOLDER / "event_plugins"
RUNS = 100
"""Of each in a round."""
ROUNDS = 30
GIVEN = {"number": 4711, "customer": "anna", "items": ["tea", "milk", "sugar"], "total": 12.5}


@dataclass(frozen=True)
class EmitCost:
    """Microseconds of processor time, medians, and how many times as much an event takes.

    Attributes:
        emit: an event whose payload is JSON.
        send: a task that is given the same.
        ratio: of the two, in single rounds.
        emit_model: an event whose payload is a model of Pydantic.
        send_model: a task that is given the same.
        model_ratio: of these two.
    """

    emit: float
    send: float
    ratio: float
    emit_model: float
    send_model: float
    model_ratio: float


def measure(processes: int, say: Callable[[str], None]) -> EmitCost:
    """Measure in fresh processes.

    Args:
        processes: one after another.
        say: is told what was measured in each.

    Raises:
        RuntimeError: a process failed; the message has what it said.
    """
    celery = "OPA_OPTIONAL_COMPONENTS__CELERY__"
    environment = {
        **STACK.environment,
        "OPA_PLUGIN_PATHS": str(PLUGINS),
        f"{celery}LOAD": "yes",
        f"{celery}OPTS__BROKER_URL": "memory://localhost/",
        f"{celery}OPTS__BACKEND_URL": "cache+memory://",
    }
    found: list[dict[str, list[float]]] = []
    for number in range(processes):
        found.append(found_by("from bench.events import time_here; time_here()", environment))
        ratios = ", ".join(f"{_ratio(found[-1:], *pair):.3f}" for pair in PAIRS)
        say(f"process {number + 1} of {processes}  emit by send {ratios}")
    medians = {name: statistics.median(statistics.median(each[name]) for each in found) for name in found[0]}
    return EmitCost(
        emit=medians["emit"],
        send=medians["send"],
        ratio=_ratio(found, "emit", "send"),
        emit_model=medians["emit_model"],
        send_model=medians["send_model"],
        model_ratio=_ratio(found, "emit_model", "send_model"),
    )


PAIRS = (("emit", "send"), ("emit_model", "send_model"))


def _ratio(found: list[dict[str, list[float]]], one: str, other: str) -> float:
    return statistics.median(
        statistics.median(mine / its for mine, its in zip(each[one], each[other], strict=True)) for each in found
    )


def time_here() -> None:
    """Print the microseconds of each round by what was called, as JSON."""
    from opa.bootstrap import prepare

    prepare()
    json.dump(_times(), sys.stdout)


def _times() -> dict[str, list[float]]:
    from kombu.transport.memory import Channel

    from opa import emit_sync

    orders: Any = import_module("orders")
    order = orders.Order(**GIVEN)
    calls: dict[str, Callable[[], object]] = {
        "emit": lambda: emit_sync("orders.created", GIVEN),
        "send": lambda: orders.count.delay(GIVEN),
        "emit_model": lambda: emit_sync("orders.created", order),
        "send_model": lambda: orders.bill.delay(order),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    turns = list(calls)
    gc.collect()
    gc.freeze()  # or each of the collections below would take longer than what is measured
    gc.disable()
    for number in range(ROUNDS + 1):
        for name in turns:
            Channel.queues.clear()
            gc.collect()
            begin = time.process_time()
            for _ in range(RUNS):
                calls[name]()
            if number:  # the first one finds cold caches
                found[name].append(1e6 * (time.process_time() - begin) / RUNS)
        turns.reverse()
    return found


def main(processes: int = 5) -> None:
    """Print what both cost."""
    cost = measure(processes, print)
    print(f"emit {cost.emit:8.1f} µs   send {cost.send:8.1f} µs")
    print(f"emit {cost.emit_model:8.1f} µs   send {cost.send_model:8.1f} µs, with a model   {cost.model_ratio:.3f}")
    print(f"ratio {cost.ratio:.3f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
