"""Where the time goes when a process starts with many plugins, and in a request.

A timer interrupts the process after each few milliseconds of processor time (the kernel's tick), and whose code runs
then is noted. The standard library counts for who calls it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from bench.many import many
from bench.servers import FOLDER, NOT_PASSED_ON, App

INTERVAL = 0.001
TIME_LIMIT = 300.0
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
        start = _run("start", modules.stack)
        bare_start = _run("start", modules.bare)
        request = _run("request", modules.stack, seconds)
        bare_request = _run("request", single.bare, seconds)
    return Profile(plugins, routes, start, _together(bare_start), _together(request), _together(bare_request))


def _together(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for by_owner in found.values():
        total.update(by_owner)
    return dict(total)


def _run(what: str, app: App, seconds: float = 0) -> dict[str, dict[str, float]]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    module = "opa.main" if app.target is None else app.target.partition(":")[0]
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.profile", what, module, app.path, str(seconds)],
        cwd=FOLDER.parent,
        env={**outer, **app.environment, "ENV": "bench", "OPA_LOGLEVEL": "warning"},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the profile of a {what} failed:\n{done.stderr}")
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
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


def _profile_start(module: str) -> dict[str, dict[str, float]]:
    samples = Samples()
    before = time.process_time()
    with samples.taken():
        app = import_module(module).app
        if module == "opa.main":
            asyncio.run(_start_and_stop(app))
    return samples.seconds(time.process_time() - before)


async def _start_and_stop(app: Any) -> None:
    async with started(app):
        pass


async def _profile_requests(module: str, path: str, seconds: float) -> dict[str, dict[str, float]]:
    samples = Samples()
    app = import_module(module).app
    async with started(app):
        for _ in range(WARM_UP):
            await _request(app, path)
        count, before, end = 0, time.process_time(), time.perf_counter() + seconds
        with samples.taken():
            while time.perf_counter() < end:
                await _request(app, path)
                count += 1
        return samples.seconds((time.process_time() - before) / max(count, 1))


async def _request(app: Any, path: str) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "server": ("localhost", 80),
        "client": ("localhost", 1),
        "state": {},
    }
    status = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        status.append(message.get("status"))

    await app(scope, receive, send)
    if status[0] != 200:
        raise RuntimeError(f"{path} answers {status[0]}")


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """Start an ASGI application, and stop it in the end."""
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    is_started = asyncio.Event()

    async def send(message: dict[str, str]) -> None:
        if message["type"] == "lifespan.startup.failed":
            raise RuntimeError(message.get("message", "the application did not start"))
        is_started.set()

    messages.put_nowait({"type": "lifespan.startup"})
    serving = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, messages.get, send)
    )
    waiting = asyncio.create_task(is_started.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        messages.put_nowait({"type": "lifespan.shutdown"})
        await serving


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


def main(
    what: Annotated[str, typer.Argument()] = "",
    module: Annotated[str, typer.Argument()] = "",
    path: Annotated[str, typer.Argument()] = "",
    seconds: Annotated[float, typer.Argument()] = 2,
    plugins: int = 1000,
) -> None:
    """Print both profiles; with arguments, one of them as JSON, of this process."""
    if what == "start":
        print(json.dumps(_profile_start(module)))
        return
    if what == "request":
        print(json.dumps(asyncio.run(_profile_requests(module, path, seconds))))
        return
    profile = measure(plugins, 10, seconds)
    for unit, rows in (("start, ms", rows_of_start(profile)), ("request, µs", rows_of_request(profile))):
        print(f"{unit:<40} {'all':>8} " + " ".join(f"{column[:9]:>9}" for column in COLUMNS))
        for name, numbers in rows:
            print(
                f"{name:<40} {sum(numbers.values()):8.0f} " + " ".join(f"{number:9.1f}" for number in numbers.values())
            )


if __name__ == "__main__":
    typer.run(main)
