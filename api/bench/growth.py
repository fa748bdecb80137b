"""What more and more plugins cost: the start, the memory of one worker, a request to the last route, and a 404.

Beside a bare application with the same modules. Starts and memory are measured with one application alone. For requests
all run at once and are asked in turns, so that what else the machine does hits all alike; they go over one connection,
one after another, and their times have those of the client, the server and the kernel in them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection

from bench.many import many
from bench.memory import megabytes_at_rest
from bench.servers import App, Server, serving

REQUEST_LIMIT = 60.0
MISSING = "/nothing/of/this/name"
# Plugins up to which an application starts in a second or so, and is started several times.
FEW = 100
TURNS = 10
# Applications that start side by side, where the time of the start is not measured.
AT_ONCE = 2


@dataclass(frozen=True)
class Point:
    """What an application costs with some plugins; medians.

    Attributes:
        start: seconds to the first answer.
        megabytes: of all processes together (PSS), with one worker.
        last: seconds of a request to the last route.
        missing: seconds of a 404.
    """

    start: float
    megabytes: float
    last: float
    missing: float


@dataclass(frozen=True)
class Growth:
    """What plugins cost.

    Attributes:
        plugins: how many there were, from few to many.
        routes: of each plugin.
        stack: the stack with each of these numbers.
        bare: the bare application with each of them.
    """

    plugins: tuple[int, ...]
    routes: int
    stack: tuple[Point, ...]
    bare: tuple[Point, ...]


def measure(plugins: Iterable[int], routes: int, rounds: int, seconds: float, say: Callable[[str], None]) -> Growth:
    """Start both with each number of plugins.

    Args:
        plugins: the numbers, from few to many.
        routes: of each plugin.
        rounds: of a start with few plugins; with more than that there is one.
        seconds: for which requests of one kind are sent to an application, in all.
        say: is told what was measured, a line for each application and number.

    Raises:
        RuntimeError: a server does not start, or does not answer as it should.
    """
    numbers = tuple(plugins)
    with ExitStack() as running:
        modules = [running.enter_context(many(number, routes)) for number in numbers]
        apps = [(each.plugins, app) for each in modules for app in (each.stack, each.bare)]
        starts = []
        for number, app in apps:
            start, megabytes = _start(app, rounds if number <= FEW else 1)
            starts.append((start, megabytes))
            say(f"{number:5} plugins  {app.name:<14} start {start:6.2f} s, {megabytes:6.0f} MB")
        with ThreadPoolExecutor(AT_ONCE) as starting:
            servers = list(starting.map(lambda each: _at_rest(running.enter_context(serving(each[1]))), apps))
        paths = [app.path for _, app in apps]
        times = _in_turns(list(zip(servers, paths, strict=True)), seconds)
        for (number, app), (last, missing) in zip(apps, times, strict=True):
            words = f"last route {1000 * last:7.2f} ms, 404 {1000 * missing:7.2f} ms"
            say(f"{number:5} plugins  {app.name:<14} {words}")
    points = tuple(Point(*start, *time) for start, time in zip(starts, times, strict=True))
    return Growth(numbers, routes, stack=points[::2], bare=points[1::2])


def _start(app: App, rounds: int) -> tuple[float, float]:
    """Seconds and megabytes."""
    starts, megabytes = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        with serving(app) as server:
            starts.append(time.perf_counter() - started)
            megabytes.append(megabytes_at_rest(server.pid))
    return statistics.median(starts), statistics.median(megabytes)


def _at_rest(server: Server) -> Server:
    megabytes_at_rest(server.pid)
    return server


def _in_turns(servers: Sequence[tuple[Server, str]], seconds: float) -> list[tuple[float, float]]:
    """Seconds of a request to the last route, and of a 404, of each server with the path of its last route."""
    each = seconds / TURNS
    turns = [
        [
            (seconds_of_request(server, path, 200, each), seconds_of_request(server, MISSING, 404, each))
            for server, path in servers
        ]
        for _ in range(TURNS)
    ]
    return [
        (statistics.median(last for last, _ in found), statistics.median(missing for _, missing in found))
        for found in zip(*turns, strict=True)
    ]


def seconds_of_request(server: Server, path: str, status: int, seconds: float) -> float:
    """The median of requests that are sent one after another, for as long as `seconds`; the first does not count.

    Raises:
        RuntimeError: an answer has another status.
    """
    times: list[float] = []
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_LIMIT)) as connection:
        end = time.perf_counter() + seconds
        while len(times) < 2 or time.perf_counter() < end:
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            times.append(time.perf_counter() - began)
            if answer.status != status:
                raise RuntimeError(f"{path} answers {answer.status}, not {status}")
    return statistics.median(times[1:])


def main(most: int = 3000, routes: int = 10, rounds: int = 3, seconds: float = 2) -> None:
    """Print what 1, 10 and more plugins cost."""
    measure([number for number in (1, 10, 100, 1000, 3000) if number <= most], routes, rounds, seconds, print)


if __name__ == "__main__":
    import typer

    typer.run(main)
