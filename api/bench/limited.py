"""What a rate limit and an API key cost a route, both in redis, beside the same route without them.

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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class LimitCost:
    """What a request costs, in µs of processor time; medians.

    Attributes:
        plain: without a limit.
        limited: with one.
        alone: with one, where no other request is under way.
        guarded: with one of each actor, and an API key that is asked for.
        ratio: the second by the first.
        more: how much more the second is.
        guarded_more: how much more the fourth is.
    """

    plain: float
    limited: float
    alone: float
    guarded: float
    ratio: float
    more: float
    guarded_more: float


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
        guarded_more=statistics.median(times["guarded"] - times["plain"] for times in rounds),
    )


def time_here() -> None:
    """Print the µs of a request of each kind, for each round, as JSON."""
    import uvloop

    print(json.dumps(uvloop.run(_rounds())))


async def _rounds() -> list[Times]:
    from opa.main import app

    caller = Caller(app)
    async with started(app):
        key = await _new_key(app)
        kinds = [
            ("plain", "/hello", (), SIDE_BY_SIDE),
            ("limited", "/limited", (), SIDE_BY_SIDE),
            ("guarded", "/guarded", ((b"authorization", b"Bearer " + key.encode()),), SIDE_BY_SIDE),
            ("alone", "/limited", (), 1),
        ]
        found = []
        for number in range(ROUNDS + 1):
            times = {name: await _time(caller, path, headers, at_once) for name, path, headers, at_once in kinds}
            if number:  # the first one finds cold caches
                found.append(times)
            kinds.reverse()
    if caller.statuses != {200}:
        raise RuntimeError(f"there were other answers than 200: {caller.statuses}")
    return found


async def _new_key(app: Any) -> str:
    """An API key, as `opa keys create` makes it."""
    from opa.plugins.access_keys.making import new_key
    from opa.plugins.access_keys.store import store_of

    record, key = new_key("bench", ["bench:use"], None, datetime.now(UTC))
    await store_of(app.manager).put(lambda _: record)
    return key


async def _time(caller: Caller, path: str, headers: Headers, at_once: int) -> float:
    async def several() -> None:
        for _ in range(RUNS // at_once):
            scope = scope_of(path)
            scope["headers"] += headers
            await caller.request(scope)

    began = time.process_time()
    await asyncio.gather(*(several() for _ in range(at_once)))
    return 1e6 * (time.process_time() - began) / RUNS


def main(processes: int = 3) -> None:
    """Print what a limit costs."""
    cost = measure(processes)
    print(f"plain {cost.plain:.1f} µs, limited {cost.limited:.1f} µs, alone {cost.alone:.1f} µs")
    print(f"ratio {cost.ratio:.2f}, {cost.more:.1f} µs more")
    print(f"with a key and a limit {cost.guarded:.1f} µs, {cost.guarded_more:.1f} µs more")


if __name__ == "__main__":
    import typer

    typer.run(main)
