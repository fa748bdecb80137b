"""How long a start takes with several components that each take a second to connect, beside one such component.

From the start of the server to its first answer. Half of the components connect in threads, the others on the event
loop.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.servers import FOLDER, STACK, App, serving

DRIVERS = ("slow", "slow-async")


@dataclass(frozen=True)
class ComponentStart:
    """Seconds to the first answer, medians.

    Attributes:
        components: how many there were in `many`.
        one: with one component.
        many: with `components`.
        ratio: `many` by `one`; the median of those of single rounds.
    """

    components: int
    one: float
    many: float
    ratio: float


def measure(components: int, rounds: int, say: Callable[[str], None]) -> ComponentStart:
    """Start both in turns; which one is first changes with every round.

    Raises:
        RuntimeError: a server does not start.
    """
    times: dict[int, list[float]] = {1: [], components: []}
    turns = [1, components]
    for number in range(rounds):
        for count in turns:
            times[count].append(_start(count))
            say(f"round {number + 1} of {rounds}  {count:3} components {times[count][-1]:6.2f} s")
        turns.reverse()
    return ComponentStart(
        components,
        one=statistics.median(times[1]),
        many=statistics.median(times[components]),
        ratio=statistics.median(many / one for one, many in zip(times[1], times[components], strict=True)),
    )


def _start(components: int) -> float:
    environment = {**STACK.environment, "OPA_PLUGIN_PATHS": str(FOLDER / "component_plugins")}
    for number in range(components):
        name = f"OPA_OPTIONAL_COMPONENTS__SLOW{number}__"
        environment |= {f"{name}LOAD": "yes", f"{name}DRIVER": DRIVERS[number % len(DRIVERS)]}
    started = time.perf_counter()
    with serving(App(f"{components} components", STACK.target, environment), None):
        return time.perf_counter() - started


def main(components: int = 8, rounds: int = 5) -> None:
    """Print how long a start takes."""
    start = measure(components, rounds, print)
    print(f"start with 1 component {start.one:12.2f} s")
    print(f"start with {components:2} components {start.many:10.2f} s")
    print(f"ratio                  {start.ratio:12.2f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
