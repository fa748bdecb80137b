"""What it costs a line of the log that secrets in it are masked: the same lines, with the masking and without it.

A line goes all the way: from the call to a sink that writes it to nowhere. Without the masking, what finds secrets in a
text and in arguments gives them back as they are.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

from bench.fresh import found_by
from bench.servers import STACK

RUNS = 50
ROUNDS = 300

LINES: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "text": ("the report of the night is written", ()),
    "arguments": ("order %s of %s took %.1f s", ("A-1042", "shop", 0.25)),
    "mapping": ("stored %s", ({"name": "report", "rows": 120, "to": ["a", "b"]},)),
    "request": ('%s - "%s %s HTTP/%s" %d', ("10.0.0.7:51622", "GET", "/orders/1042?page=2&sort=name", "1.1", 200)),
    "task": ("Task %s[%s] succeeded in %ss: %s", ("shop.sum", "0f4ab1de-90ab-4e0a-8b6f-0b4d6f0b7d11", 0.0123, "3")),
}
"""Lines as they are written all day, through the standard library's `logging`, as those of a plugin are."""


@dataclass(frozen=True)
class LineCost:
    """What lines cost, in µs of processor time; medians.

    Attributes:
        masked: of each kind.
        plain: the same without the masking.
        more: the difference; the median of those of single rounds.
    """

    masked: Mapping[str, float]
    plain: Mapping[str, float]
    more: Mapping[str, float]


def measure(processes: int) -> LineCost:
    """Measure in fresh processes.

    Raises:
        RuntimeError: a process failed; the message has what it said.
    """
    code = "from bench.log_lines import time_here; time_here()"
    found: list[dict[str, list[list[float]]]] = [found_by(code, STACK.environment) for _ in range(processes)]

    def median(kind: str, of: Callable[[float, float], float]) -> float:
        return statistics.median(of(*pair) for times in found for pair in times[kind])

    return LineCost(
        masked={kind: median(kind, lambda masked, _: masked) for kind in LINES},
        plain={kind: median(kind, lambda _, plain: plain) for kind in LINES},
        more={kind: median(kind, lambda masked, plain: masked - plain) for kind in LINES},
    )


def time_here() -> None:
    """Print the µs of each line, masked and plain, for each round by kind, as JSON."""
    import os
    from pathlib import Path

    from loguru import logger

    from opa.bootstrap import prepare
    from opa.logging.lines import json_line

    prepare()
    logger.remove()
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115  for as long as the process lives
    logger.add(nowhere, format=json_line, colorize=False)
    log = logging.getLogger("plugin")
    log.setLevel("INFO")
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in LINES}
    for number in range(ROUNDS + 1):
        for kind, (message, arguments) in LINES.items():
            times = {}
            for is_masked in (True, False) if number % 2 else (False, True):
                with nullcontext() if is_masked else _unmasked():
                    times[is_masked] = _time(log, message, arguments)
            if number:  # the first one finds cold caches
                found[kind].append((times[True], times[False]))
    print(json.dumps(found))


def _time(log: Any, message: str, arguments: tuple[Any, ...]) -> float:
    started = time.process_time()
    for _ in range(RUNS):
        log.info(message, *arguments)
    return 1e6 * (time.process_time() - started) / RUNS


@contextmanager
def _unmasked() -> Iterator[None]:
    def same(value: Any) -> Any:
        return value

    with (
        mock.patch("opa.logging.lines.mask_text", same),
        mock.patch("opa.logging.standard.std_message", logging.LogRecord.getMessage),
    ):
        yield


def main(processes: int = 3) -> None:
    """Print what lines cost."""
    cost = measure(processes)
    for kind in LINES:
        print(
            f"{kind:<10} {cost.masked[kind]:6.1f} µs, plain {cost.plain[kind]:6.1f} µs, more {cost.more[kind]:5.2f} µs"
        )


if __name__ == "__main__":
    import typer

    typer.run(main)
