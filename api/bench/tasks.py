"""No-op tasks a second, beside a bare Celery application under the same broker, settings and worker.

The stack is there twice: without a record of each run, and with one.

A round sends tasks to a queue that nobody reads, and then hands that queue to the worker, which is idle until then: who
sends and who runs do not compete for the machine. The worker is done when all results are there and all messages are
acknowledged. The ratio is the median of those of single rounds, in which both did their work one right after the other:
what else the machine does changes less in between than in the whole time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.task_sender import STAGING
from opa.local.servers import free_port, valkey
from opa.local.supervisor import Program, ProgramProcess

API = Path(__file__).parents[1]
QUEUE, UNACKED = "celery", "unacked"
BELL = f"{QUEUE}\x06\x16bell"
"""What an idle worker of the stack waits for: with each task that is sent, it rings."""
ROUND_LIMIT = 120.0
PAUSE = 0.004
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Side:
    """An application to measure.

    Attributes:
        name: for `bench.task_sender`.
        title: for people.
        app: where Celery's command finds it.
        database: of the server, for its messages; the next one is for its results.
    """

    name: str
    title: str
    app: str
    database: int

    def environ(self, address: str) -> dict[str, str]:
        """The variables that its processes get."""
        broker, backend = (f"redis://{address}/{self.database + number}" for number in (0, 1))
        if self.name == "bare":
            return {"BENCH_BROKER": broker, "BENCH_BACKEND": backend}
        celery = "OPA_OPTIONAL_COMPONENTS__CELERY__"
        redis_of_runs = "OPA_OPTIONAL_COMPONENTS__AIOREDIS__"
        has_runs = self.name == RUNS.name
        return {
            "OPA_PLUGIN_PATHS": str(API / "bench/task_plugins"),
            **{f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no" for name in ("MONGODB", "WALRUS", "SQL", "SQL_SYNC")},
            f"{redis_of_runs}LOAD": "yes" if has_runs else "no",
            f"{redis_of_runs}OPTS__URL": f"redis://{address}/{self.database + 2}",
            f"{celery}LOAD": "yes",
            f"{celery}OPTS__BROKER_URL": broker,
            f"{celery}OPTS__BACKEND_URL": backend,
        }


BARE = Side("bare", "bare Celery", "bench.bare_tasks", 0)
STACK = Side("stack", "opa-stack", "opa.main", 2)
RUNS = Side("runs", "with runs", "opa.main", 4)
SIDES = (BARE, STACK, RUNS)


@dataclass(frozen=True)
class Speed:
    """Seconds for a task: to send it, and to run it, from the broker to its acknowledgement."""

    send: float
    run: float

    @property
    def both(self) -> float:
        """Seconds to send it and to run it."""
        return self.send + self.run


PARTS = ("send", "run", "both")


class Running:
    """One application with its sender and its worker, started."""

    def __init__(self, sender: subprocess.Popen[str], broker: redis.Redis, results: redis.Redis) -> None:
        self._sender = sender
        self._broker = broker
        self._results = results

    def round(self, tasks: int) -> Speed:
        """Send tasks and run them.

        Raises:
            RuntimeError: one of its processes has ended, or does not get done.
        """
        assert self._sender.stdin  # noqa: S101 - it is a pipe
        assert self._sender.stdout  # noqa: S101
        self._sender.stdin.write(f"{tasks}\n")
        self._sender.stdin.flush()
        line = self._sender.stdout.readline()
        if not line:
            raise RuntimeError(f"the sender ended with status {self._sender.wait()}")
        self._results.flushdb()
        started = time.perf_counter()
        self._broker.rename(STAGING, QUEUE)
        self._broker.lpush(BELL, 1)
        while self._results.dbsize() < tasks or self._broker.hlen(UNACKED):
            if time.perf_counter() - started > ROUND_LIMIT:
                raise RuntimeError(f"{tasks} tasks are not done within {ROUND_LIMIT:g} s")
            time.sleep(PAUSE)
        return Speed(float(line) / tasks, (time.perf_counter() - started) / tasks)


@contextmanager
def running(side: Side, address: str, folder: Path, concurrency: int) -> Iterator[Running]:
    """Start the worker and the sender of an application."""
    environ = side.environ(address) | {"ENV": "bench", "PYTHONPATH": str(API)}
    log = folder / f"{side.name}.log"
    worker = ProgramProcess(
        Program(
            name=f"the worker of {side.title}",
            command=[
                *(str(BIN / "celery"), "-A", side.app, "worker"),
                *("--loglevel", "info", "--concurrency", str(concurrency), "--hostname", f"{side.name}@localhost"),
            ],
            folder=folder,
            environ=environ,
            log=log,
            is_ready=lambda: " ready." in log.read_text(errors="replace"),
        )
    )
    worker.start()
    try:
        worker.wait_until_ready()
        with (
            redis.Redis.from_url(f"redis://{address}/{side.database}") as broker,
            redis.Redis.from_url(f"redis://{address}/{side.database + 1}") as results,
            subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "bench.task_sender", side.name],
                cwd=folder,
                env={**os.environ, **environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as sender,
        ):
            yield Running(sender, broker, results)
    finally:
        worker.stop()


def measure(rounds: int, tasks: int, concurrency: int, say: Callable[[str], None]) -> dict[str, list[Speed]]:
    """Measure all in turns; which one is first changes with every round. The first round of each is a warm-up.

    Args:
        rounds: for each application.
        tasks: in a round.
        concurrency: processes of each worker.
        say: is told what was measured, a line for each round.

    Raises:
        RuntimeError: an application does not do what it should.
        StartError: something does not start.
    """
    found: dict[str, list[Speed]] = {side.name: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "plugins").mkdir()
        local = valkey(folder, free_port())
        server = ProgramProcess(local.program)
        server.start()
        stack.callback(server.stop)
        server.wait_until_ready()
        turns = [(side, stack.enter_context(running(side, local.address, folder, concurrency))) for side in SIDES]
        for number in range(rounds + 1):
            for side, application in turns:
                speed = application.round(tasks)
                if number:
                    found[side.name].append(speed)
                    say(f"round {number} of {rounds}  {side.title:<12} {1 / speed.both:8,.0f} tasks/s")
            turns.reverse()
    return found


def ratio(found: Mapping[str, list[Speed]], part: str, side: Side = STACK, beside: Side = BARE) -> float:
    """How many tasks a second `side` does for each that the other does: 0.97 is 3 % fewer."""
    pairs = zip(found[beside.name], found[side.name], strict=True)
    return float(statistics.median(getattr(other, part) / getattr(one, part) for other, one in pairs))


def main(rounds: int = 60, tasks: int = 100, concurrency: int = 1, at_least: float = 0.0) -> None:
    """Print both; exit with 1 where the stack runs, or sends and runs, fewer than `at_least` times as many."""
    for name in [name for name in os.environ if name.startswith(("OPA_", "CELERY_"))]:
        del os.environ[name]
    found = measure(rounds, tasks, concurrency, print)
    print(f"{'tasks/s':<12} {'sent':>8} {'run':>8} {'both':>8}")
    for side in SIDES:
        speeds = [1 / statistics.median(getattr(speed, part) for speed in found[side.name]) for part in PARTS]
        print(f"{side.title:<12} " + " ".join(f"{speed:8,.0f}" for speed in speeds))
    ratios = [ratio(found, part) for part in PARTS]
    for title, side, beside in (("stack/bare", STACK, BARE), ("runs/stack", RUNS, STACK), ("runs/bare", RUNS, BARE)):
        print(f"{title:<12} " + " ".join(f"{ratio(found, part, side, beside):8.3f}" for part in PARTS))
    if min(ratios[1:]) < at_least:
        print(f"that is less than {at_least:g}")
        sys.exit(1)


if __name__ == "__main__":
    import typer

    typer.run(main)
