"""Stops at random moments, of everything that opa-stack starts: all end in time, and leave no process behind.

By hand, since it takes long: `python -m tests.stops [KIND …] [--count 300] [--seed 1] [--at-once 2]`, in `api/`. Prints
a line for each stop that went wrong, and one for each kind. `make` runs `make run` in the repository itself.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from tests.serve.process import COMPONENTS, free_port
from tests.signals import let_programs_be_interrupted

LIMIT = 60.0
"""Seconds that an end may take: the grace period for requests and tasks is shorter, but the machine may be busy."""
LATEST = 8.0
"""Seconds after the start at which the last signals come."""
MARK = "STOPS_MARK"
"""The variable by which all that a program has started is known."""

OPA = str(Path(sys.executable).with_name("opa"))
ROOT = Path(__file__).resolve().parents[2]
ALONE = {f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no" for name in COMPONENTS}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HELLO = """
from opa import get_router, task

router = get_router()


@router.get("/hello")
def hello():
    return "hello"


@task
def work():
    pass
"""


@dataclass(frozen=True)
class Kind:
    """A program that is stopped.

    Attributes:
        command: with its arguments.
        environ: variables of its own.
        restarts: on SIGHUP it begins anew, as servers do, and is then told to stop.
    """

    command: tuple[str, ...]
    environ: Mapping[str, str]
    restarts: bool = False


# Without a broker these three wait for one, which is a state to be stopped in as well.
NO_BROKER = {"OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL": "redis://127.0.0.1:1/1"}
KINDS = {
    "up": Kind((OPA, "up"), {}),
    "make": Kind(("make", "--no-print-directory", "run"), {}),
    "gunicorn": Kind((OPA, "start"), {**ALONE, "WEB_CONCURRENCY": "2"}, restarts=True),
    "dev-api": Kind((OPA, "start"), {**ALONE, "ENV": "dev"}),
    **{
        f"{env}-{mode}": Kind((OPA, "start"), {"ENV": env, "MODE": mode, **NO_BROKER}, restarts=mode == "worker")
        for env in ("dev", "production")
        for mode in ("worker", "beat", "flower")
    },
}


@dataclass(frozen=True)
class Stop:
    """How and when a program is told to stop."""

    after: float
    number: signal.Signals
    pauses: tuple[float, ...]
    target: str

    def __str__(self) -> str:
        again = "".join(f" and {pause * 1000:.1f} ms later again" for pause in self.pauses)
        return f"{self.number.name}{again} to the {self.target}, {self.after:.2f} s after the start"


def choose(chance: random.Random) -> Stop:
    """Any stop there may be."""
    return Stop(
        after=chance.uniform(0, LATEST),
        number=chance.choice(SIGNALS),
        pauses=tuple(chance.choice((0, chance.uniform(0, 0.002))) for _ in range(chance.randrange(3))),
        target=chance.choice(("process", "group", "whole of them")),
    )


def problem_of(kind: Kind, stop: Stop) -> str:
    """Start it, stop it, and say what was wrong; empty where nothing was."""
    mark = uuid4().hex
    with tempfile.TemporaryDirectory(prefix="opa-stop-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "plugins").mkdir()
        (folder / "plugins" / "hello.py").write_text(HELLO)
        outer = {key: value for key, value in os.environ.items() if not key.startswith("OPA_") and key != "MODE"}
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                kind.command,
                cwd=ROOT if kind.command[0] == "make" else folder,
                env={**outer, MARK: mark, "OPA_PORT": str(free_port()), **kind.environ},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            time.sleep(stop.after)
            send(process, stop, mark)
            return problem_of_end(process, kind, stop, mark) + last_words(folder, process)
        finally:
            for pid in marked(mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def send(process: subprocess.Popen[bytes], stop: Stop, mark: str) -> None:
    """Send the signals."""
    for pause in (0, *stop.pauses):
        time.sleep(pause)
        with suppress(ProcessLookupError):
            if stop.target == "process":
                process.send_signal(stop.number)
            elif stop.target == "group":
                os.killpg(process.pid, stop.number)
            else:
                for pid in marked(mark):
                    os.kill(pid, stop.number)


def problem_of_end(process: subprocess.Popen[bytes], kind: Kind, stop: Stop, mark: str) -> str:
    """Wait for the end; what is wrong with it."""
    if kind.restarts and stop.number is signal.SIGHUP:
        time.sleep(2)
        if process.poll() is None:
            process.terminate()
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        return f"it has not ended within {LIMIT:.0f} s"
    deadline = time.monotonic() + LIMIT
    while left := marked(mark):
        if time.monotonic() > deadline:
            return f"left behind: {', '.join(command_of(pid) for pid in left)}"
        time.sleep(0.1)
    return ""


def last_words(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """A traceback in its log, which no stop may show; empty where there is none."""
    if process.poll() in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, 130):
        return ""  # it was told before it had begun
    lines = (folder / "log.txt").read_text(errors="replace").splitlines()
    at = next((number for number, line in enumerate(lines) if "Traceback (most recent call last)" in line), None)
    if at is None:
        return ""
    frames = list(takewhile(lambda line: line.startswith(" "), lines[at + 1 :]))
    is_of_python = all("<frozen " in line for line in frames if line.startswith("  File "))
    if is_of_python or any("init_import_site" in line for line in lines):
        return ""  # Python itself was starting, and had read nothing of ours
    return "a traceback:\n" + "\n".join(line[:200] for line in lines[max(at - 2, 0) : at + 60])


def marked(mark: str) -> list[int]:
    """The processes that have the mark, and are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def command_of(pid: int) -> str:
    """The command line of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return str(pid)


def main(
    kinds: Annotated[list[str] | None, typer.Argument()] = None, count: int = 300, seed: int = 1, at_once: int = 2
) -> None:
    """Stop each kind `count` times."""
    let_programs_be_interrupted()
    failed = False
    for name in kinds or list(KINDS):
        stops = [choose(random.Random(f"{name} {seed} {number}")) for number in range(count)]
        with ThreadPoolExecutor(at_once) as pool:
            problems = list(pool.map(lambda stop: problem_of(KINDS[name], stop), stops))  # noqa: B023
        for stop, problem in zip(stops, problems, strict=True):
            if problem:
                failed = True
                print(f"{name}: {stop}: {problem}", flush=True)
        print(f"{name}: {sum(not problem for problem in problems)} of {count} ended in order", flush=True)
    raise typer.Exit(failed)


if __name__ == "__main__":
    typer.run(main)
