"""How long it takes in development from a change of a file to the new answer, with all that `opa up` runs."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.servers import NOT_PASSED_ON, STOP_LIMIT, free_port

PLUGIN = """from opa import get_router, task

router = get_router()


@task
def add(one: int, two: int) -> int:
    return one + two


@router.get("/value")
def value() -> int:
    return {value}
"""
LIMIT = 60.0
PAUSE = 0.005
BETWEEN_CHANGES = 6.0
"""Seconds: whoever tries a change has looked at the answer, and has written the next one."""


@dataclass(frozen=True)
class Reload:
    """Seconds from the change of a file to the new answer.

    Attributes:
        first: from the start of `opa up` to its first answer.
        changes: of single changes, some time after one another.
        at_once: of a change that comes with the answer to the one before.
    """

    first: float
    changes: tuple[float, ...]
    at_once: float

    @property
    def median(self) -> float:
        """The median of the changes."""
        return statistics.median(self.changes)


def measure(rounds: int, say: Callable[[str], None]) -> Reload:
    """Change a plugin of a small project that `opa up` runs, with a route and a task, again and again.

    Raises:
        RuntimeError: there is no answer in time; the message has the log.
    """
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        (project / "plugins").mkdir()
        change(project, 0)
        started = time.perf_counter()
        with _running(project) as ask:
            first = _until(0, ask, started)
            changes = []
            for number in range(1, rounds + 1):
                time.sleep(BETWEEN_CHANGES)
                changes.append(_until(number, ask, change(project, number)))
                say(f"change {number} of {rounds} {changes[-1]:6.2f} s")
            at_once = _until(-1, ask, change(project, -1))
            say(f"one more at once {at_once:6.2f} s")
    return Reload(first, tuple(changes), at_once)


def change(project: Path, value: int) -> float:
    """Have the plugin answer with another value; gives the time."""
    (project / "plugins" / "hello.py").write_text(PLUGIN.format(value=value))
    return time.perf_counter()


@contextmanager
def _running(project: Path) -> Iterator[Callable[[], str]]:
    """Gives what asks the plugin; empty where there is no answer."""
    port = free_port()
    outer = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    log = project / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "opa.cli", "up"],
            cwd=project,
            env={**outer, "ENV": "dev", "OPA_PORT": str(port), "OPA_ACCESS_LOG": "false"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def ask() -> str:
        if process.poll() is not None:
            raise RuntimeError(f"opa up ended:\n{log.read_text()}")
        connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        try:
            connection.request("GET", "/value")
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == 200 else ""
        except (OSError, HTTPException):
            return ""
        finally:
            connection.close()

    try:
        yield ask
    except TimeoutError:
        raise RuntimeError(f"there is no answer within {LIMIT:g} s:\n{log.read_text()}") from None
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(value: int, ask: Callable[[], str], since: float) -> float:
    while ask() != str(value):
        if time.perf_counter() > since + LIMIT:
            raise TimeoutError
        time.sleep(PAUSE)
    return time.perf_counter() - since


def main(rounds: int = 9) -> None:
    """Print how long a reload takes."""
    found = measure(rounds, print)
    print(f"start to first answer  {found.first:6.2f} s")
    print(f"change to new answer   {found.median:6.2f} s, the longest {max(found.changes):.2f} s")


if __name__ == "__main__":
    import typer

    typer.run(main)
