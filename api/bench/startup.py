"""How long it takes from the start of a server to its first answer, beside a bare application with the same modules."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.many import many
from bench.servers import App, serving


@dataclass(frozen=True)
class Startup:
    """Seconds to the first answer, medians.

    Attributes:
        plugins: how many.
        routes: of each.
        stack: of the stack.
        bare: of the bare application.
        ratio: `stack` by `bare`; the median of those of single rounds.
    """

    plugins: int
    routes: int
    stack: float
    bare: float
    ratio: float


def measure(plugins: int, routes: int, rounds: int, say: Callable[[str], None]) -> Startup:
    """Start both in turns; which one is first changes with every round.

    Raises:
        RuntimeError: a server does not start.
    """
    bare: list[float] = []
    stack: list[float] = []
    with many(1, 1) as single:  # what has never run here is compiled, and read from the disk
        seconds_to_start(single.bare)
        seconds_to_start(single.stack)
    with many(plugins, routes) as modules:
        turns = [(modules.bare, bare), (modules.stack, stack)]
        for number in range(rounds):
            for app, times in turns:
                times.append(seconds_to_start(app))
                say(f"round {number + 1} of {rounds}  {app.name:<14} {times[-1]:6.2f} s")
            turns.reverse()
    return Startup(
        plugins,
        routes,
        stack=statistics.median(stack),
        bare=statistics.median(bare),
        ratio=statistics.median(mine / its for mine, its in zip(stack, bare, strict=True)),
    )


def seconds_to_start(app: App) -> float:
    """From the start of the process to the first answer."""
    started = time.perf_counter()
    with serving(app):
        return time.perf_counter() - started


def main(plugins: int = 1000, routes: int = 10, rounds: int = 3) -> None:
    """Print how long a start takes."""
    start = measure(plugins, routes, rounds, print)
    print(f"{plugins} plugins of {routes} routes, start to first answer")
    print(f"opa-stack    {start.stack:6.2f} s")
    print(f"bare FastAPI {start.bare:6.2f} s")
    print(f"ratio        {start.ratio:6.2f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
