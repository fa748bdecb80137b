"""Measure the two applications in turns, so that what changes on the machine meanwhile hits both."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.load import Load
from bench.servers import BARE, FOLDER, STACK, App, serving

# A round may take this much longer than the time for which it measures.
ROUND_EXTRA = 60.0


@dataclass(frozen=True)
class Rounds:
    """What the rounds of one application showed."""

    app: App
    rounds: tuple[Load, ...]

    @property
    def per_second(self) -> float:
        """Requests a second, the median of the rounds."""
        return statistics.median(found.per_second for found in self.rounds)


@dataclass(frozen=True)
class Comparison:
    """Both applications, and how the stack does beside the bare one: 1 is as fast, 0.97 is 3 % slower.

    The rounds of both come in pairs, one right after the other.
    """

    bare: Rounds
    stack: Rounds

    @property
    def ratio(self) -> float:
        """Requests a second of the stack, divided by those of the bare application; the median of the pairs.

        The ratio of the medians varies twice as much: the speed of the machine changes between pairs.
        """
        pairs = zip(self.bare.rounds, self.stack.rounds, strict=True)
        return statistics.median(stack.per_second / bare.per_second for bare, stack in pairs)


def compare(
    rounds: int,
    seconds: float,
    connections: int,
    progress: Callable[[str], None],
    *,
    first: App = BARE,
    second: App = STACK,
) -> Comparison:
    """Start both applications and measure them in turns; which one is first changes with every round.

    Args:
        rounds: for each application.
        seconds: of a round.
        connections: requests that are under way at once.
        progress: is told what was measured, a line each.
        first: what stands beside it.
        second: what is measured.

    Raises:
        RuntimeError: an application does not start, or does not answer as it should.
    """
    server_core, client_core = _cores()
    found: dict[str, list[Load]] = {first.name: [], second.name: []}
    with serving(first, server_core) as bare, serving(second, server_core) as stack:
        turns = [(first, bare), (second, stack)]
        for number in range(rounds):
            for app, server in turns:
                load = _load(server.port, seconds, connections, client_core)
                found[app.name].append(load)
                progress(f"round {number + 1} of {rounds}  {app.name:<14} {load.per_second:9,.0f} requests/s")
            turns.reverse()
    return Comparison(Rounds(first, tuple(found[first.name])), Rounds(second, tuple(found[second.name])))


def _cores() -> tuple[int | None, int | None]:
    """A core for the servers, of which one works at a time, and one for the client; none on a single core."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None, None
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


def _load(port: int, seconds: float, connections: int, core: int | None) -> Load:
    arguments = [port, seconds, connections, *([core] if core is not None else [])]
    client = subprocess.run(  # noqa: S603 - our own module, with numbers
        [sys.executable, "-m", "bench.load", *map(str, arguments)],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        timeout=seconds + ROUND_EXTRA,
        check=False,
    )
    if client.returncode:
        raise RuntimeError(f"the client failed:\n{client.stderr}")
    return Load(**json.loads(client.stdout))


def main(rounds: int = 40, seconds: float = 0.5, connections: int = 32) -> None:
    """Print how many requests a second both answer, and how long one takes."""
    found = compare(rounds, seconds, connections, print)
    print(f"{'GET /hello':<14} {'requests/s':>10} {'lowest':>8} {'highest':>8} {'median ms':>10} {'p99 ms':>8}")
    for one in (found.bare, found.stack):
        speeds = [load.per_second for load in one.rounds]
        times = [statistics.median(getattr(load, name) for load in one.rounds) for name in ("median_ms", "p99_ms")]
        print(
            f"{one.app.name:<14} {one.per_second:10,.0f} {min(speeds):8,.0f} {max(speeds):8,.0f}"
            f" {times[0]:10.2f} {times[1]:8.2f}"
        )
    print(f"median ratio {found.ratio:.3f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
