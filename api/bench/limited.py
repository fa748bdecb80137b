"""What a rate limit costs a route: one that is counted in redis, beside the same route without one.

In one process without a socket to a client, as `bench.protocol` does. Requests are under way side by side, as they are
in a server that has something to do; one alone is shown as well, for it shares no round trip with others.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.asgi import Caller, scope_of, started
from bench.fresh import found_by
from bench.servers import FOLDER, STACK
from opa.local.servers import free_port, valkey
from opa.local.supervisor import ProgramProcess

SIDE_BY_SIDE = 32
RUNS = 320
ROUNDS = 10
_COMPONENT = "OPA_OPTIONAL_COMPONENTS__AIOREDIS__"
Times = dict[str, float]


@dataclass(frozen=True)
class LimitCost:
    """What a request costs, in µs of processor time; medians.

    Attributes:
        plain: without a limit.
        limited: with one.
        alone: with one, where no other request is under way.
        ratio: the second by the first.
        more: how much more the second is.
    """

    plain: float
    limited: float
    alone: float
    ratio: float
    more: float


def measure(processes: int) -> LimitCost:
    """Measure in fresh processes.

    Raises:
        RuntimeError: a process failed; the message has what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = valkey(Path(folder), free_port())
        redis = ProgramProcess(server.program)
        redis.start()
        try:
            redis.wait_until_ready()
            environment = {
                **STACK.environment,
                "OPA_PLUGIN_PATHS": str(FOLDER / "limited_plugins"),
                f"{_COMPONENT}LOAD": "yes",
                f"{_COMPONENT}OPTS__URL": f"redis://{server.address}",
            }
            code = "from bench.limited import time_here; time_here()"
            found: list[list[Times]] = [found_by(code, environment) for _ in range(processes)]
        finally:
            redis.stop()
    rounds = [times for several in found for times in several]
    medians = {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}
    return LimitCost(
        **medians,
        ratio=statistics.median(times["limited"] / times["plain"] for times in rounds),
        more=statistics.median(times["limited"] - times["plain"] for times in rounds),
    )


def time_here() -> None:
    """Print the µs of a request of each kind, for each round, as JSON."""
    import uvloop

    print(json.dumps(uvloop.run(_rounds())))


async def _rounds() -> list[Times]:
    from opa.main import app

    caller = Caller(app)
    kinds = [("plain", "/hello", SIDE_BY_SIDE), ("limited", "/limited", SIDE_BY_SIDE), ("alone", "/limited", 1)]
    async with started(app):
        found = []
        for number in range(ROUNDS + 1):
            times = {name: await _time(caller, path, at_once) for name, path, at_once in kinds}
            if number:  # the first one finds cold caches
                found.append(times)
            kinds.reverse()
    if caller.statuses != {200}:
        raise RuntimeError(f"there were other answers than 200: {caller.statuses}")
    return found


async def _time(caller: Caller, path: str, at_once: int) -> float:
    async def several() -> None:
        for _ in range(RUNS // at_once):
            await caller.request(scope_of(path))

    began = time.process_time()
    await asyncio.gather(*(several() for _ in range(at_once)))
    return 1e6 * (time.process_time() - began) / RUNS


def main(processes: int = 3) -> None:
    """Print what a limit costs."""
    cost = measure(processes)
    print(f"plain {cost.plain:.1f} µs, limited {cost.limited:.1f} µs, alone {cost.alone:.1f} µs")
    print(f"ratio {cost.ratio:.2f}, {cost.more:.1f} µs more")


if __name__ == "__main__":
    import typer

    typer.run(main)
