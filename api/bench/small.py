"""What a project with one plugin and no component takes: the time to its first answer, and memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench.memory import megabytes_at_rest
from bench.servers import BARE, STACK, serving
from bench.startup import seconds_to_start


@dataclass(frozen=True)
class Small:
    """Medians, of the stack and of the bare application under gunicorn with uvicorn's worker.

    Attributes:
        stack: seconds to the first answer.
        bare: the same of the bare application.
        time_ratio: `stack` by `bare`; the median of those of single rounds.
        stack_megabytes: of master and worker together, when they have come to rest.
        bare_megabytes: the same of the bare application.
    """

    stack: float
    bare: float
    time_ratio: float
    stack_megabytes: float
    bare_megabytes: float

    @property
    def memory_ratio(self) -> float:
        """The memory of the stack by that of the bare application."""
        return self.stack_megabytes / self.bare_megabytes


def measure(rounds: int, say: Callable[[str], None]) -> Small:
    """Start both in turns; which one is first changes with every round.

    Raises:
        RuntimeError: a server does not start.
    """
    bare: list[float] = []
    stack: list[float] = []
    for app in (BARE, STACK):  # what has never run here is compiled, and read from the disk
        seconds_to_start(app)
    turns = [(BARE, bare), (STACK, stack)]
    for number in range(rounds):
        for app, times in turns:
            times.append(seconds_to_start(app))
            say(f"round {number + 1} of {rounds}  {app.name:<14} {times[-1]:6.2f} s")
        turns.reverse()
    megabytes: dict[str, float] = {}
    for app in (BARE, STACK):
        with serving(app) as server:
            megabytes[app.name] = megabytes_at_rest(server.pid)
        say(f"{app.name:<14} {megabytes[app.name]:6.1f} MB")
    return Small(
        stack=statistics.median(stack),
        bare=statistics.median(bare),
        time_ratio=statistics.median(mine / its for mine, its in zip(stack, bare, strict=True)),
        stack_megabytes=megabytes[STACK.name],
        bare_megabytes=megabytes[BARE.name],
    )


def main(rounds: int = 15) -> None:
    """Print what a small project takes."""
    found = measure(rounds, print)
    print(f"start to first answer  {found.stack:6.2f} s, bare FastAPI {found.bare:6.2f} s, {found.time_ratio:.2f} ×")
    print(
        f"memory                 {found.stack_megabytes:6.1f} MB, bare FastAPI {found.bare_megabytes:6.1f} MB,"
        f" {found.memory_ratio:.2f} ×"
    )


if __name__ == "__main__":
    import typer

    typer.run(main)
