"""How long requests wait for a component that is gone or hangs, and how long those wait that do not use it.

A server is killed, or stopped (SIGSTOP), under 200 requests at once. What counts is how long a request waits once the
first has failed, and how long it takes until the component is used again, once its server answers those that connect.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import amqp
import typer

from bench.servers import FOLDER, App, serving
from opa.local.servers import free_port, secantusdb, valkey
from opa.local.supervisor import Program, ProgramProcess

AT_ONCE = 200
LIMIT = 60.0
START_LIMIT = 180.0
QUEUE_KEPT = 5.0
"""Seconds until RabbitMQ has the name of a new quorum queue on its disk. Killed before, it has the queue afterwards and
no leader for it: it takes connections, and confirms no message of that queue from any client."""
PLAIN, NOWHERE = "/hello", "/nowhere"
PER_SECOND, OTHERS_PER_SECOND = 50, 200
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
        self._child = ProgramProcess(self._program)
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


class RabbitMQ:
    """The same of a RabbitMQ in a container."""

    def __init__(self) -> None:
        self._port = free_port()
        self._name = _docker("run", "--detach", f"--publish=127.0.0.1:{self._port}:5672", "rabbitmq:4-management")
        self.url = f"pyamqp://guest:guest@127.0.0.1:{self._port}//"

    def wait_until_it_answers(self) -> None:
        """Return once it takes a connection, which its port does long before.

        Raises:
            TimeoutError: it takes none.
        """
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            try:
                with amqp.Connection(f"127.0.0.1:{self._port}", connect_timeout=5, read_timeout=5) as connection:
                    connection.channel()
            except (OSError, amqp.AMQPError):
                time.sleep(0.1)
            else:
                return
        raise TimeoutError(f"RabbitMQ takes no connection within {START_LIMIT:g} s")

    def take_away(self, how: str) -> None:
        """Kill or pause it."""
        if how == "killed":
            time.sleep(QUEUE_KEPT)
        _docker("kill" if how == "killed" else "pause", self._name)

    def bring_back(self, how: str) -> None:
        """Start it anew, or let it go on."""
        _docker("start" if how == "killed" else "unpause", self._name)
        self.wait_until_it_answers()

    def remove(self) -> None:
        """For good."""
        _docker("rm", "--force", "--volumes", self._name)


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


async def outage(port: int, path: str, victim: Victim | RabbitMQ, how: str) -> Outage:
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


async def send(port: int, path: str, per_second: int, seconds: float) -> tuple[list[float], float]:
    """Send requests at a steady pace, whatever becomes of them.

    Returns:
        The seconds from when each was due to its answer; and how late the latest in a hundred was sent, which says
        whether this process keeps pace.
    """
    tasks, late = [], []
    started = time.perf_counter()
    for number in range(int(seconds * per_second)):
        due = started + number / per_second
        await asyncio.sleep(max(0, due - time.perf_counter()))
        late.append(time.perf_counter() - due)
        tasks.append(asyncio.create_task(get(port, path)))
    answers = await asyncio.gather(*tasks)
    took = [answered - sent + behind for (_, sent, answered), behind in zip(answers, late, strict=True)]
    return took, statistics.quantiles(late, n=100)[98]


def _send(port: int, path: str, per_second: int, seconds: float) -> tuple[list[float], float]:
    return asyncio.run(send(port, path, per_second, seconds))


@dataclass(frozen=True)
class Beside:
    """What a plain route takes beside another one, in seconds.

    Attributes:
        median: of the plain route.
        p99: its 99th percentile.
        late: how late, at most in 99 of 100, its requests were sent.
    """

    median: float
    p99: float
    late: float


def plain_beside(port: int, path: str | None, victim: Victim | None, seconds: float) -> Beside:
    """What a plain route takes while others ask for another one; each have a process of their own.

    Args:
        port: of the server.
        path: of that other route; None for none.
        victim: the server that it uses, which hangs meanwhile; None leaves all well, for comparison.
        seconds: for which they are asked.
    """
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as senders:
        warm = [senders.submit(_send, port, each, PER_SECOND, 1) for each in (PLAIN, path or PLAIN)]
        for each in warm:
            each.result()
        if victim is not None:
            victim.take_away("stopped")
        try:
            if path is not None:
                senders.submit(_send, port, path, OTHERS_PER_SECOND, seconds)
            times, late = senders.submit(_send, port, PLAIN, PER_SECOND, seconds).result()
        finally:
            if victim is not None:
                victim.bring_back("stopped")
    return Beside(statistics.median(times), statistics.quantiles(times, n=100)[98], late)


@contextmanager
def victims(rabbitmq: bool) -> Iterator[tuple[dict[str, Victim | RabbitMQ], dict[str, str]]]:
    """The servers by name, and the environment that leads to them; with a RabbitMQ as broker, or a redis."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found: dict[str, Victim | RabbitMQ] = {}
        address: dict[str, str] = {}
        for name in ("redis", "broker", "results", "mongo"):
            own = folder / name
            own.mkdir()
            local = secantusdb(own, free_port()) if name == "mongo" else valkey(own, free_port())
            if local is None:
                continue
            victim = Victim(replace(local.program))
            stack.callback(victim.stop)
            found[name], address[name] = victim, local.address
        broker = f"redis://{address['broker']}/0"
        if rabbitmq:
            server = RabbitMQ()
            stack.callback(server.remove)
            server.wait_until_it_answers()
            found["broker"], broker = server, server.url
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

    Args:
        say: is told what was measured.
        routes: those that are asked for.
        seconds: for which the plain route is asked beside another one.
        rabbitmq: the broker is a RabbitMQ, in a container.

    Raises:
        RuntimeError: the application does not start.
    """
    found: dict[str, Outage] = {}
    with victims(rabbitmq) as (servers, environment):
        environment |= {"OPA_PLUGIN_PATHS": str(FOLDER / "outage_plugins"), "OPA_LOGLEVEL": "critical"}
        app = App("with components", None, environment)
        with serving(app) as server:
            if "/walrus" in routes:
                _measure_plain(say, server.port, servers["redis"], seconds)
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


def _measure_plain(say: Callable[[str], None], port: int, redis: Victim | RabbitMQ, seconds: float) -> None:
    hangs = redis if isinstance(redis, Victim) else None
    for what, path, victim in (
        ("alone", None, None),
        (f"beside {OTHERS_PER_SECOND}/s of itself", PLAIN, None),
        (f"beside {OTHERS_PER_SECOND}/s of a path that is not there", NOWHERE, None),
        (f"beside {OTHERS_PER_SECOND}/s of a walrus that is well", "/walrus", None),
        (f"beside {OTHERS_PER_SECOND}/s of a walrus that hangs", "/walrus", hangs),
    ):
        beside = plain_beside(port, path, victim, seconds)
        say(
            f"plain def route {what}: median {1000 * beside.median:.1f} ms, p99 {1000 * beside.p99:.1f} ms"
            f" (sent {1000 * beside.late:.1f} ms late)"
        )
        time.sleep(3)


def main(
    routes: Annotated[list[str] | None, typer.Argument()] = None, seconds: float = 10, rabbitmq: bool | None = None
) -> None:
    """Print what requests meet while a component is gone or hangs; with RabbitMQ where Docker is there."""
    if rabbitmq is not True:
        measure(print, routes or list(SERVERS), seconds=seconds)
    if rabbitmq or (rabbitmq is None and not routes and shutil.which("docker")):
        print("with RabbitMQ as broker:")
        measure(print, [route for route in routes or ["/celery"] if route in SERVERS], seconds=seconds, rabbitmq=True)


if __name__ == "__main__":
    typer.run(main)
