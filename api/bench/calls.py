"""What a hook and a setting cost in a route: beside pluggy and a plain function, and beside a plain attribute.

Each statement is timed by `timeit`, with the few nanoseconds of its loop; a round times all of them, one right after
the other. What lies where in the memory changes a call by a tenth, from process to process: so there are several, each
with the median of its rounds, and what counts is the median of the processes.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from timeit import Timer
from typing import TYPE_CHECKING, Any

from bench.fresh import found_by
from bench.servers import FOLDER, STACK

if TYPE_CHECKING:
    from opa.settings.load import Config

PLUGINS = FOLDER / "call_plugins"
# Runs of a statement in a round: so few that a round takes milliseconds, and what disturbs it hits all statements.
RUNS = 2000
ROUNDS = 50

STATEMENTS = {
    "call": "answer(1)",
    "hook": "call_hook('answer', 1)",
    "hook by keyword": "call_hook('answer', arg=1)",
    "pluggy": "pm.hook.answer(arg=1)",
    "attribute": "plain.PROJECT_NAME",
    "setting": "config.PROJECT_NAME",
}


@dataclass(frozen=True)
class CallCost:
    """What calls and reads cost.

    Attributes:
        nanoseconds: of each statement.
        pluggy_by_hook: how many times as long as `call_hook` a call by pluggy takes, with one implementation.
        hook_by_call: how many times as long as a call of a plain function `call_hook` takes.
        setting_by_attribute: how many times as long as an attribute of a plain object, which has them all, a setting
            takes.
    """

    nanoseconds: Mapping[str, float]
    pluggy_by_hook: float
    hook_by_call: float
    setting_by_attribute: float


def measure(processes: int) -> CallCost:
    """Measure in fresh processes, with the hook and the settings of an application that is prepared in each.

    Raises:
        RuntimeError: a process failed; the message has what it said.
    """
    environment = {**STACK.environment, "OPA_PLUGIN_PATHS": str(PLUGINS)}
    found: list[dict[str, list[float]]] = [
        found_by("from bench.calls import time_here; time_here()", environment) for _ in range(processes)
    ]

    def ratio(one: str, other: str) -> float:
        return statistics.median(
            statistics.median(mine / its for mine, its in zip(times[one], times[other], strict=True)) for times in found
        )

    return CallCost(
        nanoseconds={name: statistics.median(statistics.median(times[name]) for times in found) for name in STATEMENTS},
        pluggy_by_hook=ratio("pluggy", "hook"),
        hook_by_call=ratio("hook", "call"),
        setting_by_attribute=ratio("setting", "attribute"),
    )


def time_here() -> None:
    """Prepare an application in this process, and print the nanoseconds of each round by statement, as JSON."""
    from opa import call_hook, config
    from opa.bootstrap import prepare

    prepare()
    names = {
        "answer": answer,
        "call_hook": call_hook,
        "config": config,
        "plain": Plain(config),
        "pm": _pluggy(),
    }
    timers = {name: Timer(statement, globals=names) for name, statement in STATEMENTS.items()}
    found: dict[str, list[float]] = {name: [] for name in timers}
    for number in range(ROUNDS + 1):
        for name, timer in timers.items():
            seconds = timer.timeit(RUNS)
            if number:  # the first one finds cold caches
                found[name].append(1e9 * seconds / RUNS)
    print(json.dumps(found))


def answer(arg: Any) -> Any:
    """What the hook does, as a plain function."""
    return arg


class Plain:
    """A plain object with the settings as its attributes."""

    def __init__(self, settings: Config) -> None:
        for name in settings:
            setattr(self, name, settings[name])


def _pluggy() -> Any:
    import pluggy

    class Answer:
        @pluggy.HookspecMarker("bench")
        def answer(self, arg: Any) -> Any:
            """As the hook of the plugin."""

    class Fill:
        @pluggy.HookimplMarker("bench")
        def answer(self, arg: Any) -> Any:
            return arg

    pm = pluggy.PluginManager("bench")
    pm.add_hookspecs(Answer)
    pm.register(Fill())
    return pm


def main(processes: int = 15) -> None:
    """Print what calls and reads cost."""
    cost = measure(processes)
    for name, nanoseconds in cost.nanoseconds.items():
        print(f"{name:<16} {nanoseconds:8.1f} ns   {STATEMENTS[name]}")
    print(f"pluggy by hook         {cost.pluggy_by_hook:6.2f}")
    print(f"hook by call           {cost.hook_by_call:6.2f}")
    print(f"setting by attribute   {cost.setting_by_attribute:6.2f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
