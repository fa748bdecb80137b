"""What the limits on connections and requests cost the hello route: our HTTP protocol beside uvicorn's, which has none.

In one process without a socket, so that nothing but the processor counts: a request goes through the protocol and all
of the application, and its answer comes back to a transport that keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

from bench.fresh import found_by
from bench.load import REQUEST
from bench.servers import STACK

RUNS = 200
ROUNDS = 60


@dataclass(frozen=True)
class RequestCost:
    """What a request costs, in µs of processor time; medians.

    Attributes:
        limited: through our protocol.
        plain: through uvicorn's.
        ratio: the first by the second; the median of those of single rounds, and of the processes.
    """

    limited: float
    plain: float
    ratio: float


def measure(processes: int) -> RequestCost:
    """Measure in fresh processes.

    Raises:
        RuntimeError: a process failed; the message has what it said.
    """
    code = "from bench.protocol import time_here; time_here()"
    found: list[list[list[float]]] = [found_by(code, STACK.environment) for _ in range(processes)]
    return RequestCost(
        limited=statistics.median(limited for rounds in found for limited, _ in rounds),
        plain=statistics.median(plain for rounds in found for _, plain in rounds),
        ratio=statistics.median(statistics.median(limited / plain for limited, plain in rounds) for rounds in found),
    )


def time_here() -> None:
    """Print the µs of a request, limited and plain, for each round, as JSON."""
    import uvloop

    print(json.dumps(uvloop.run(_rounds())))


async def _rounds() -> list[tuple[float, float]]:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

    from opa.core.manager import get_plugin_manager
    from opa.main import app
    from opa.serve.protocol import HttpProtocol
    from opa.serve.server import ServerConfig

    config = ServerConfig(get_plugin_manager().config, app)
    config.load()
    lifespan = config.lifespan_class(config)
    await lifespan.startup()
    clients = []
    for kind in (HttpProtocol, HttpToolsProtocol):
        protocol: Any = kind(config=config, server_state=ServerState(), app_state={})
        clients.append(_Client(protocol))
    found = []
    for number in range(ROUNDS + 1):
        times = {}
        for client in clients if number % 2 else reversed(clients):
            started = time.process_time()
            for _ in range(RUNS):
                await client.request()
            times[client] = 1e6 * (time.process_time() - started) / RUNS
        if number:  # the first one finds cold caches
            found.append((times[clients[0]], times[clients[1]]))
    await lifespan.shutdown()
    return found


class _Client(asyncio.Transport):
    """Stands for a connection: gives a request to the protocol, and takes the answer."""

    def __init__(self, protocol: Any) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._protocol = protocol
        self._answered: asyncio.Future[None] | None = None
        protocol.connection_made(self)

    async def request(self) -> None:
        """Send one, and wait for its answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self._protocol.data_received(REQUEST)
        await self._answered

    def write(self, data: Any) -> None:
        if self._answered is not None and not self._answered.done() and bytes(data).endswith(b"}"):
            self._answered.set_result(None)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """There is nothing to close."""

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """There is nothing to read."""

    def get_write_buffer_size(self) -> int:
        return 0


def main(processes: int = 3) -> None:
    """Print what a request costs."""
    cost = measure(processes)
    print(f"limited {cost.limited:8.1f}")
    print(f"plain {cost.plain:10.1f}")
    print(f"ratio {cost.ratio:10.3f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
