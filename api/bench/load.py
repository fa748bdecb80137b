"""The client: many connections that are kept alive, each with one request at a time, for a while.

A process of its own, so that it takes nothing from the server. Prints one JSON object:
`python -m bench.load PORT SECONDS CONNECTIONS [CORE]`
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import httptools
import uvloop

REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
EXPECTED = b'{"message":"hello"}'
# Requests of a connection before the measurement: the first ones find cold caches.
WARM_UP = 20
# Seconds that connecting, warming up and the last answers may take, besides the time that is measured.
EXTRA = 30.0


@dataclass(frozen=True)
class Load:
    """What a round showed: answers a second, and how long one took, in milliseconds."""

    requests: int
    per_second: float
    median_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """Sends a request, waits for the whole answer, and sends the next."""

    transport: asyncio.Transport
    sent: float

    def __init__(self, times: list[float], done: asyncio.Future[None]) -> None:
        self.times = times
        self.done = done
        self.deadline: float | None = None
        self.count = 0
        self.body = b""
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def send(self) -> None:
        """Send a request; the time until its answer counts."""
        self.body = b""
        self.sent = time.perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self.parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        """Called by httptools."""
        self.body += part

    def on_message_complete(self) -> None:
        """Called by httptools."""
        now = time.perf_counter()
        if self.parser.get_status_code() != 200 or self.body != EXPECTED:
            self.done.set_exception(ValueError(f"{self.parser.get_status_code()} {self.body!r}"))
            return
        self.times.append(now - self.sent)
        self.count += 1
        if now < self.deadline if self.deadline is not None else self.count < WARM_UP:
            self.send()
        else:
            self.done.set_result(None)


async def measure(port: int, seconds: float, connections: int) -> Load:
    """Load the server on a loopback port.

    Args:
        seconds: how long, after the warm-up.
        connections: requests that are under way at once.

    Raises:
        ValueError: an answer is not the expected one.
        OSError: the server is not there, or closed a connection.
    """
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Connection([], loop.create_future()), "127.0.0.1", port)
        for _ in range(connections)
    ]
    clients = [client for _, client in opened]
    await _run(clients, None)
    started = time.perf_counter()
    await _run(clients, started + seconds)
    took = time.perf_counter() - started
    times = [seconds for client in clients for seconds in client.times]
    for transport, _ in opened:
        transport.close()
    return Load(
        requests=len(times),
        per_second=len(times) / took,
        median_ms=1000 * statistics.median(times),
        p99_ms=1000 * statistics.quantiles(times, n=100)[98],
    )


async def _run(clients: list[Connection], deadline: float | None) -> None:
    for client in clients:
        client.times, client.count, client.deadline = [], 0, deadline
        client.done = asyncio.get_running_loop().create_future()
        client.send()
    await asyncio.gather(*(client.done for client in clients))


def main() -> None:
    """Measure, and print what it showed."""
    port, seconds, connections, *core = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    loading = asyncio.wait_for(measure(int(port), float(seconds), int(connections)), float(seconds) + EXTRA)
    print(json.dumps(asdict(uvloop.run(loading))))


if __name__ == "__main__":
    main()
