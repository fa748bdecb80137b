"""How long requests wait for a component that is gone or hangs, and how long those wait that do not use it.

A server is killed, or stopped (SIGSTOP), under 200 requests at once. What counts is how long a request waits once the
first has failed, and how long it takes after the return of the server until the component is used again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from bench.servers import FOLDER, App, serving
from opa.local.servers import free_port, secantusdb, valkey
from opa.local.supervisor import Child, Program

AT_ONCE = 200
LIMIT = 60.0
RABBITMQ_START = 25.0
PLAIN = "/hello"
SERVERS = {
    "/aioredis": "redis",
    "/walrus": "redis",
    "/line": "redis",
    "/mongodb": "mongo",
    "/pymongo": "mongo",
    "/celery": "broker",
    "/results": "results",
}
"""By route, the server that it uses."""


class Victim:
    """A server that is killed, or stopped, and comes back."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.start()

    def start(self) -> None:
        """Start it."""
        self._child = Child(self._program)
        self._child.start()
        self._child.wait_until_ready()

    def take_away(self, how: str) -> None:
        """Kill or stop it."""
        os.kill(self._child.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)

    def bring_back(self, how: str) -> None:
        """Start it anew, or let it go on."""
        if how == "killed":
            self._child.stop()
            self.start()
        else:
            os.kill(self._child.pid, signal.SIGCONT)

    def stop(self) -> None:
        """For good."""
        os.kill(self._child.pid, signal.SIGCONT)
        self._child.stop()


class Container:
    """The same of a container."""

    def __init__(self, name: str) -> None:
        self._name = name

    def take_away(self, how: str) -> None:
        """Kill or pause it."""
        _docker("kill" if how == "killed" else "pause", self._name)

    def bring_back(self, how: str) -> None:
        """Start it anew, or let it go on."""
        _docker("start" if how == "killed" else "unpause", self._name)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603, S607


@dataclass(frozen=True)
class Outage:
    """What requests of a route met, in seconds.

    Attributes:
        first: until the first of 200 has failed.
        others: the longest that another one has waited once the first had failed.
        next: the longest of 200 more, once those were answered.
        back: from the return of the server to the first 200.
        statuses: of all those requests.
    """

    first: float
    others: float
    next: float
    back: float
    statuses: dict[int, int]


async def get(port: int, path: str) -> tuple[int, float, float]:
    """The status, 0 where there was no answer in time; and when it was sent and answered."""
    sent = time.perf_counter()
    try:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
            await reader.read()
            writer.close()
            return int(line.split()[1]), sent, time.perf_counter()
    except (OSError, TimeoutError, IndexError):
        return 0, sent, time.perf_counter()


async def outage(port: int, path: str, victim: Victim | Container, how: str) -> Outage:
    """Take the server of a route away under load, and bring it back."""
    await asyncio.gather(*(get(port, path) for _ in range(AT_ONCE)))
    victim.take_away(how)
    statuses: dict[int, int] = {}

    async def many() -> list[tuple[int, float, float]]:
        found = await asyncio.gather(*(get(port, path) for _ in range(AT_ONCE)))
        for status, _, _ in found:
            statuses[status] = statuses.get(status, 0) + 1
        return found

    found = await many()
    failed = min(done for _, _, done in found)
    first = failed - min(sent for _, sent, _ in found)
    others = max(done - max(failed, sent) for _, sent, done in found)
    later = max(done - sent for _, sent, done in await many())
    await asyncio.sleep(3)
    victim.bring_back(how)  # here: a child ends with the thread that has started it
    returned = time.perf_counter()
    while (await get(port, path))[0] != 200:
        await asyncio.sleep(0.05)
        if time.perf_counter() - returned > LIMIT:
            break
    return Outage(first, others, later, time.perf_counter() - returned, statuses)


async def send(port: int, path: str, per_second: int, seconds: float) -> list[float]:
    """Send requests at a steady pace, whatever becomes of them, and give the seconds that each took."""
    tasks = []
    started = time.perf_counter()
    for number in range(int(seconds * per_second)):
        tasks.append(asyncio.create_task(get(port, path)))
        await asyncio.sleep(max(0, started + number / per_second - time.perf_counter()))
    return [answered - sent for _, sent, answered in await asyncio.gather(*tasks)]


def _send(port: int, path: str, per_second: int, seconds: float) -> None:
    asyncio.run(send(port, path, per_second, seconds))


def plain_beside(port: int, path: str, victim: Victim | None, seconds: float) -> tuple[float, float]:
    """The median and the 99th percentile of a plain route, in seconds, while 200 a second ask for another one.

    Args:
        path: of that other route.
        victim: the server that it uses, which hangs meanwhile; None leaves all well, for comparison.
    """
    asyncio.run(send(port, path, 10, 1))
    asyncio.run(send(port, PLAIN, 10, 1))
    others = get_context("spawn").Process(target=_send, args=(port, path, 200, seconds))
    if victim is not None:
        victim.take_away("stopped")
    try:
        others.start()
        times = sorted(asyncio.run(send(port, PLAIN, 50, seconds)))
        others.join()
    finally:
        if victim is not None:
            victim.bring_back("stopped")
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


@contextmanager
def victims(rabbitmq: bool) -> Iterator[tuple[dict[str, Victim | Container], dict[str, str]]]:
    """The servers by name, and the environment that leads to them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found: dict[str, Victim | Container] = {}
        address: dict[str, str] = {}
        for name in ("redis", "broker", "results", "mongo"):
            own = folder / name
            own.mkdir()
            server = secantusdb(own, free_port()) if name == "mongo" else valkey(own, free_port())
            if server is None:
                continue
            victim = Victim(replace(server.program))
            stack.callback(victim.stop)
            found[name], address[name] = victim, server.address
        broker = f"redis://{address['broker']}/0"
        if rabbitmq:
            port = free_port()
            name = _docker("run", "--detach", f"--publish=127.0.0.1:{port}:5672", "rabbitmq:4-management")
            stack.callback(_docker, "rm", "--force", "--volumes", name)
            found["broker"], broker = Container(name), f"pyamqp://guest:guest@127.0.0.1:{port}//"
            time.sleep(RABBITMQ_START)
        prefix = "OPA_OPTIONAL_COMPONENTS__"
        host, _, line = address["redis"].partition(":")
        environment = {
            f"{prefix}AIOREDIS__OPTS__URL": f"redis://{address['redis']}/0",
            f"{prefix}WALRUS__OPTS__URL": f"redis://{address['redis']}/0",
            f"{prefix}CELERY__OPTS__BROKER_URL": broker,
            f"{prefix}CELERY__OPTS__BACKEND_URL": f"redis://{address['results']}/1",
            f"{prefix}LINE__LOAD": "yes",
            f"{prefix}LINE__DRIVER": "line",
            f"{prefix}LINE__OPTS__HOST": host,
            f"{prefix}LINE__OPTS__PORT": line,
        }
        if "mongo" in address:
            environment |= {
                f"{prefix}MONGODB__OPTS__URL": f"mongodb://{address['mongo']}/opa",
                f"{prefix}PYMONGO__LOAD": "yes",
                f"{prefix}PYMONGO__DRIVER": "mongodb-pymongo",
                f"{prefix}PYMONGO__OPTS__URL": f"mongodb://{address['mongo']}/opa",
            }
        else:
            environment |= {f"{prefix}MONGODB__LOAD": "no"}
        yield found, environment


def measure(
    say: Callable[[str], None], routes: list[str], *, seconds: float = 10, rabbitmq: bool = False
) -> dict[str, Outage]:
    """Take each server away in both ways.

    Raises:
        RuntimeError: the application does not start.
    """
    found: dict[str, Outage] = {}
    with victims(rabbitmq) as (servers, environment):
        environment |= {"OPA_PLUGIN_PATHS": str(FOLDER / "outage_plugins"), "OPA_LOGLEVEL": "critical"}
        app = App("with components", None, environment)
        with serving(app) as server:
            redis = servers["redis"]
            if "/walrus" in routes and isinstance(redis, Victim):
                for what, victim in (("a walrus that is well", None), ("a walrus that hangs", redis)):
                    median, p99 = plain_beside(server.port, "/walrus", victim, seconds)
                    say(f"plain def route beside {what}: median {1000 * median:.0f} ms, p99 {1000 * p99:.0f} ms")
                    time.sleep(3)
            for path in routes:
                for how in ("killed", "stopped"):
                    if SERVERS[path] not in servers:
                        continue
                    outcome = asyncio.run(outage(server.port, path, servers[SERVERS[path]], how))
                    found[f"{path} {how}"] = outcome
                    say(
                        f"{path:<10} {how:<8} first {outcome.first:5.2f}  others {outcome.others:5.2f}"
                        f"  next {outcome.next:5.2f}  back {outcome.back:5.2f} s  {outcome.statuses}"
                    )
                    time.sleep(1)
    return found


def main(
    routes: Annotated[list[str] | None, typer.Argument()] = None, seconds: float = 10, rabbitmq: bool = False
) -> None:
    """Print what requests meet while a component is gone or hangs."""
    measure(print, routes or list(SERVERS), seconds=seconds, rabbitmq=rabbitmq)


if __name__ == "__main__":
    typer.run(main)
