"""What more and more plugins cost: the start, the memory of one worker, a request to the last route, and a 404.

Beside a bare application with the same modules. Requests go over one connection, one after another, so their times have
those of the client, the server and the kernel in them, which are the same for both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection

from bench.many import Many, many
from bench.memory import megabytes_at_rest
from bench.servers import App, Server, serving

REQUEST_LIMIT = 60.0
MISSING = "/nothing/of/this/name"
# Plugins up to which an application starts in a second or so, and is started several times.
FEW = 100


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
        seconds: for which requests of one kind are sent.
        say: is told what was measured, a line for each application and number.

    Raises:
        RuntimeError: a server does not start, or does not answer as it should.
    """
    numbers = tuple(plugins)
    stack: list[Point] = []
    bare: list[Point] = []
    for number in numbers:
        with many(number, routes) as modules:
            for app, points in ((modules.stack, stack), (modules.bare, bare)):
                points.append(_point(app, modules, rounds if number <= FEW else 1, seconds))
                say(f"{number:5} plugins  {app.name:<14} {_words(points[-1])}")
    return Growth(numbers, routes, tuple(stack), tuple(bare))


def _point(app: App, modules: Many, rounds: int, seconds: float) -> Point:
    found = [measure_once(app, modules, seconds) for _ in range(rounds)]
    return Point(
        *(statistics.median(getattr(one, name) for one in found) for name in ("start", "megabytes", "last", "missing"))
    )


def measure_once(app: App, modules: Many, seconds: float) -> Point:
    """Start an application, and measure it."""
    started = time.perf_counter()
    with serving(app) as server:
        start = time.perf_counter() - started
        return Point(
            start,
            megabytes_at_rest(server.pid),
            last=seconds_of_request(server, modules.last_path, 200, seconds),
            missing=seconds_of_request(server, MISSING, 404, seconds),
        )


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


def _words(point: Point) -> str:
    return (
        f"start {point.start:6.2f} s, {point.megabytes:6.0f} MB,"
        f" last route {1000 * point.last:7.2f} ms, 404 {1000 * point.missing:7.2f} ms"
    )


def main(most: int = 3000, routes: int = 10, rounds: int = 3, seconds: float = 2) -> None:
    """Print what 1, 10 and more plugins cost."""
    measure([number for number in (1, 10, 100, 1000, 3000) if number <= most], routes, rounds, seconds, print)


if __name__ == "__main__":
    import typer

    typer.run(main)
