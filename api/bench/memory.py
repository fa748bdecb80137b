"""The memory of all processes of an api together, with more and more workers.

The sum of their PSS (proportional set size): a page that several processes share counts for each with its part, so the
sum is what the machine is short of. Linux tells it in `/proc/PID/smaps_rollup`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.many import Many, many
from bench.servers import Server, serving

CLIENTS = 16
# Requests to each worker: one to each of as many plugins.
REQUESTS = 250
TIME_LIMIT = 120.0
# The memory has come to rest when it has not changed by more than this part of it for so many seconds.
REST, REST_FOR = 0.002, 0.5


@dataclass(frozen=True)
class Memory:
    """Megabytes (of 2**20 bytes) of all processes together, by number of workers.

    Attributes:
        plugins: how many.
        routes: of each.
        idle: when all workers have started.
        busy: when they have answered requests to many of the plugins.
    """

    plugins: int
    routes: int
    idle: Mapping[int, float]
    busy: Mapping[int, float]

    @property
    def share(self) -> float:
        """What each further worker adds, as a part of what one alone takes, after requests."""
        return share_of_further(self.busy)

    @property
    def idle_share(self) -> float:
        """The same, before any request."""
        return share_of_further(self.idle)


def share_of_further(megabytes: Mapping[int, float]) -> float:
    """What each further worker adds, on average, as a part of what one alone takes."""
    most = max(megabytes)
    return (megabytes[most] - megabytes[1]) / (most - 1) / megabytes[1]


def measure(plugins: int, routes: int, workers: Iterable[int], say: Callable[[str], None]) -> Memory:
    """Start the stack once with each number of workers, 1 among them.

    Raises:
        RuntimeError: a server does not start, or does not answer as it should.
    """
    idle: dict[int, float] = {}
    busy: dict[int, float] = {}
    with many(plugins, routes) as modules:
        for count in workers:
            with serving(modules.stack, workers=count) as server:
                idle[count] = megabytes_at_rest(server.pid, count)
                _ask_many(server, modules, REQUESTS * count)
                busy[count] = megabytes_at_rest(server.pid, count)
            say(f"{count} workers  {idle[count]:6.1f} MB, after requests {busy[count]:6.1f} MB")
    return Memory(plugins, routes, idle, busy)


def megabytes_at_rest(pid: int, workers: int = 1) -> float:
    """What a process and its workers take, when it does not change any more.

    Raises:
        RuntimeError: that takes too long.
    """
    deadline = time.monotonic() + TIME_LIMIT
    before, now = 0.0, megabytes(pid)
    # The one that builds the OpenAPI document is a child as well: with all but one of the workers they are as many.
    while abs(now - before) > REST * now or len(children_of(pid)) != workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(children_of(pid))} processes take {now:.0f} MB, and come to no rest")
        time.sleep(REST_FOR)
        before, now = now, megabytes(pid)
    return now


def megabytes(pid: int) -> float:
    """What a process and its children take now."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = children_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has ended since its parent named it
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024 + sum(map(megabytes, children))


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]


def wait_for_workers(pid: int, count: int) -> None:
    """Wait until a process whose workers are there has so many children: no more the one that builds the document.

    Raises:
        RuntimeError: it takes too long.
    """
    deadline = time.monotonic() + TIME_LIMIT
    while len(children_of(pid)) != count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"there are {len(children_of(pid))} processes after {TIME_LIMIT:g} s, and not {count}")
        time.sleep(REST_FOR / 10)


def _ask_many(server: Server, modules: Many, requests: int) -> None:
    """Over connections side by side, so that each worker has some of them."""
    paths = [modules.path(number % modules.plugins, number % modules.routes) for number in range(requests)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: _ask(server.port, paths[number::CLIENTS]), range(CLIENTS)))


def _ask(port: int, paths: Iterable[str]) -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIME_LIMIT)) as connection:
        for path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path} answers {answer.status}: {body[:200]!r}")


def main(plugins: int = 1000, routes: int = 10, workers: int = 4) -> None:
    """Print the memory of 1, 2 and more workers."""
    memory = measure(plugins, routes, range(1, workers + 1), print)
    for name, share in (("when it has started", memory.idle_share), ("after requests", memory.share)):
        print(f"each further worker adds {100 * share:5.1f} % of what one alone takes, {name}")


if __name__ == "__main__":
    import typer

    typer.run(main)
