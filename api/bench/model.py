"""What the plugin model costs: 1,000 trivial plugins with `ready`, beside importing the same files by hand."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.fresh import found_by
from bench.servers import WITHOUT_SERVICES

PLUGIN = '"""A trivial plugin."""\n\ncalls = []\n\n\nasync def ready() -> None:\n    calls.append("ready")\n'

IMPORT = """
import importlib, sys, time
sys.path.append({folder!r})
names = [f"plugin_{{number:04}}" for number in range({count})]
started = time.perf_counter()
for name in names:
    importlib.import_module(name)
print(time.perf_counter() - started)
"""

MODEL = """
import asyncio, time
from opa.core.lifespan import running
from opa.bootstrap import prepare
from opa.settings.load import load_settings
import opa.plugins.core_docs, opa.plugins.driver_celery, opa.plugins.driver_mongodb, opa.plugins.driver_redis
import opa.plugins.driver_sql

config = load_settings()

async def start(manager):
    async with running(manager):
        return time.perf_counter()

started = time.perf_counter()
manager = prepare(config)
ended = asyncio.run(start(manager))
assert len(manager.registry.objects) > {count}, len(manager.registry.objects)
print(ended - started)
"""


@dataclass(frozen=True)
class ModelCost:
    """Medians, in seconds for all plugins together.

    Attributes:
        plugins: how many.
        importing: importing the files by hand.
        nothing: a start without any of them.
        everything: a start with them: found, filtered, ordered, imported, registered, and `ready` run.
    """

    plugins: int
    importing: float
    nothing: float
    everything: float

    @property
    def per_plugin(self) -> float:
        """Seconds that the model costs for each plugin, beyond importing it."""
        return (self.everything - self.nothing - self.importing) / self.plugins


def measure(plugins: int, rounds: int, say: Callable[[str], None]) -> ModelCost:
    """Measure in fresh processes, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "plugins"
        folder.mkdir()
        empty = Path(name) / "empty"
        empty.mkdir()
        for number in range(plugins):
            (folder / f"plugin_{number:04}.py").write_text(PLUGIN)
        times: dict[str, list[float]] = {"importing": [], "nothing": [], "everything": []}
        for number in range(rounds + 1):
            found = {
                "importing": _run(IMPORT.format(folder=str(folder), count=plugins), name, folder),
                "nothing": _run(MODEL.format(count=0), name, empty),
                "everything": _run(MODEL.format(count=plugins), name, folder),
            }
            if number:  # the first one writes the bytecode
                for key, seconds in found.items():
                    times[key].append(seconds)
        say(f"{plugins} plugins, {rounds} rounds")
    return ModelCost(plugins, **{key: statistics.median(values) for key, values in times.items()})


def _run(program: str, folder: str, plugins: Path) -> float:
    environment = {"OPA_PLUGIN_PATHS": str(plugins), "PYTHONPYCACHEPREFIX": f"{folder}/cache", **WITHOUT_SERVICES}
    return float(found_by(program, environment))


def main(plugins: int = 1000, rounds: int = 5, at_most: float = 0.0) -> None:
    """Print the cost; exit with 1 where it is more than `at_most` milliseconds for each plugin."""
    cost = measure(plugins, rounds, print)
    print(f"importing by hand   {1000 * cost.importing:8.1f} ms")
    print(f"start without them  {1000 * cost.nothing:8.1f} ms")
    print(f"start with them     {1000 * cost.everything:8.1f} ms")
    print(f"the model, a plugin {1000 * cost.per_plugin:8.3f} ms beyond importing")
    if at_most and 1000 * cost.per_plugin > at_most:
        print(f"that is more than {at_most:g} ms")
        sys.exit(1)


if __name__ == "__main__":
    import typer

    typer.run(main)
