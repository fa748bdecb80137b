"""Where the time goes when a process starts with many plugins, and in a request.

A timer interrupts the process after each few milliseconds of processor time (the kernel's tick), and whose code runs
then is noted. The standard library counts for who calls it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from bench.asgi import Caller, scope_of, started
from bench.fresh import found_by
from bench.many import many
from bench.servers import App

INTERVAL = 0.001
WARM_UP = 100

PACKAGES = Path(sysconfig.get_path("purelib"))
OWNERS = {"fastapi": "FastAPI", "starlette": "Starlette", "pydantic": "Pydantic", "typing_inspection": "Pydantic"}
"""What the report calls the packages that it names; the others stand together."""
OURS, PLUGINS, IMPORT, OTHERS, PYTHON = "opa-stack", "plugins", "Python's import", "other packages", "Python"
COLUMNS = (OURS, *dict.fromkeys(OWNERS.values()), PLUGINS, IMPORT, OTHERS)

STEPS = {
    "load_settings": "settings",
    "find_plugins": "discover",
    "decide": "filter",
    "import_plugins": "import the plugins",
    "register_plugins": "register",
    "build_app": "build the application",
    "running": "start the process",
}
"""The functions of opa-stack whose time is told by itself, by what they do."""
REST = "modules of opa-stack, and the rest"


@dataclass(frozen=True)
class Profile:
    """Seconds of processor time by whose code ran.

    Attributes:
        plugins: how many.
        routes: of each.
        start: of a start of the stack, for each step.
        bare_start: of an import of the bare application with the same modules.
        request: of a request to the last route.
        bare_request: of a request to the only route of a bare application.
    """

    plugins: int
    routes: int
    start: Mapping[str, Mapping[str, float]]
    bare_start: Mapping[str, float]
    request: Mapping[str, float]
    bare_request: Mapping[str, float]


def measure(plugins: int, routes: int, seconds: float) -> Profile:
    """Profile both, each in a fresh process.

    Args:
        plugins: how many.
        routes: of each.
        seconds: for which requests are made.

    Raises:
        RuntimeError: a process failed; the message has what it said.
    """
    with many(plugins, routes) as modules, many(1, 1) as single:
        start = _found(modules.stack, "profile_start")
        bare_start = _found(modules.bare, "profile_start")
        request = _found(modules.stack, "profile_requests", modules.last_path, seconds)
        bare_request = _found(single.bare, "profile_requests", single.last_path, seconds)
    return Profile(plugins, routes, start, _together(bare_start), _together(request), _together(bare_request))


def _together(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for by_owner in found.values():
        total.update(by_owner)
    return dict(total)


def _found(app: App, what: str, *arguments: object) -> dict[str, dict[str, float]]:
    module = "opa.main" if app.target is None else app.target.partition(":")[0]
    words = ", ".join(map(repr, (module, *arguments)))
    found: dict[str, dict[str, float]] = found_by(f"from bench.profile import {what}; {what}({words})", app.environment)
    return found


class Samples:
    """Whose code ran in the steps of a start."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._owners: dict[str, str] = {}
        self._package = str(Path(import_module("opa").__path__[0]))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take samples in the block."""
        before = signal.signal(signal.SIGPROF, self._note)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    def seconds(self, total: float) -> dict[str, dict[str, float]]:
        """The parts of `total` seconds, by step and by owner."""
        parts: dict[str, dict[str, float]] = {}
        for (step, owner), count in self.counts.items():
            parts.setdefault(step, {})[owner] = total * count / self.counts.total()
        return parts

    def _note(self, _: int, frame: FrameType | None) -> None:
        owner, step = PYTHON, REST
        while frame is not None:
            code = frame.f_code
            found = self._owner(code.co_filename)
            if owner == PYTHON:
                owner = found
            if found == OURS:
                step = STEPS.get(code.co_name, step)
            frame = frame.f_back
        self.counts[step, owner] += 1

    def _owner(self, file: str) -> str:
        if file not in self._owners:
            self._owners[file] = self._find_owner(file)
        return self._owners[file]

    def _find_owner(self, file: str) -> str:
        if file.startswith("<frozen importlib"):
            return IMPORT
        path = Path(file)
        if path.is_relative_to(self._package):
            return OURS
        if path.is_relative_to(PACKAGES):
            name = path.relative_to(PACKAGES).parts[0]
            return OWNERS.get(name.partition("_core")[0], OTHERS)
        return PLUGINS if path.stem[1:].isdecimal() else PYTHON


def profile_start(module: str) -> None:
    """Load the application of a module in this process, start it where it is that of the stack, and print as JSON."""
    samples = Samples()
    before = time.process_time()
    with samples.taken():
        app = import_module(module).app
        if module == "opa.main":
            asyncio.run(_start_and_stop(app))
    print(json.dumps(samples.seconds(time.process_time() - before)))


async def _start_and_stop(app: Any) -> None:
    async with started(app):
        pass


def profile_requests(module: str, path: str, seconds: float) -> None:
    """Make requests to the application of a module in this process, and print as JSON."""
    print(json.dumps(asyncio.run(_profile_requests(import_module(module).app, path, seconds))))


async def _profile_requests(app: Any, path: str, seconds: float) -> dict[str, dict[str, float]]:
    samples, caller = Samples(), Caller(app)
    async with started(app):
        for _ in range(WARM_UP):
            await caller.request(scope_of(path))
        count, before, end = 0, time.process_time(), time.perf_counter() + seconds
        with samples.taken():
            while time.perf_counter() < end:
                await caller.request(scope_of(path))
                count += 1
        used = time.process_time() - before
    if caller.statuses != {200}:
        raise RuntimeError(f"{path} answers {caller.statuses}")
    return samples.seconds(used / max(count, 1))


def rows_of_start(profile: Profile) -> list[tuple[str, dict[str, float]]]:
    """The steps in the order of a start, with milliseconds by owner, and the bare application."""
    steps = [REST, *STEPS.values()]
    ours = [(step, profile.start[step]) for step in steps if step in profile.start]
    total = ("**opa-stack, together**", _together(profile.start))
    return [_in(1000, *row) for row in (*ours, total, ("bare FastAPI, together", profile.bare_start))]


def rows_of_request(profile: Profile) -> list[tuple[str, dict[str, float]]]:
    """Both applications, with microseconds by owner."""
    return [
        _in(1e6, f"opa-stack, the last of {profile.plugins * profile.routes:,} routes", profile.request),
        _in(1e6, "bare FastAPI, its only route", profile.bare_request),
    ]


def _in(unit: float, name: str, by_owner: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    known = {column: unit * by_owner.get(column, 0) for column in COLUMNS}
    known[OTHERS] += unit * by_owner.get(PYTHON, 0)
    return name, known


def main(plugins: int = 1000, routes: int = 10, seconds: float = 5) -> None:
    """Print both profiles."""
    profile = measure(plugins, routes, seconds)
    for unit, rows in (("start, ms", rows_of_start(profile)), ("request, µs", rows_of_request(profile))):
        print(f"{unit:<40} {'all':>8} " + " ".join(f"{column[:9]:>9}" for column in COLUMNS))
        for name, numbers in rows:
            print(
                f"{name:<40} {sum(numbers.values()):8.0f} " + " ".join(f"{number:9.1f}" for number in numbers.values())
            )


if __name__ == "__main__":
    import typer

    typer.run(main)
