"""The OpenAPI document of many routes: how soon it is there, and how long the event loop is held.

A plugin beats in the event loop, once in a millisecond; the longest pause between two beats is how long it was held.
What else the machine does makes pauses too, so the least of some rounds is what counts, and what there was in the same
time without a request stands beside it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

from bench.many import many
from bench.memory import wait_for_workers
from bench.servers import App, Server, serving

REQUEST_LIMIT = 300.0
SETTLE = 1.0
GZIP = {"Accept-Encoding": "gzip"}

HEART = '''"""How long the event loop was held; it is watched since this was asked for first."""

import asyncio
import time

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
longest = last = 0.0


def beat() -> None:
    global longest, last
    now = time.perf_counter()
    longest, last = max(longest, now - last), now
    asyncio.get_running_loop().call_later(0.001, beat)


@router.get("/held")
async def held() -> float:
    """The longest pause since the last time, in seconds."""
    global longest, last
    if not last:
        last = time.perf_counter()
        beat()
    found, longest = longest, 0.0
    return found
'''

SETUP = '''"""Adds a route in each worker, and makes what was built before the fork useless."""

from opa import Setup


class Late(Setup):
    def __init__(self, app) -> None:
        @app.get("/late")
        async def late() -> str:
            return "late"
'''


@dataclass(frozen=True)
class Asked:
    """One application and its document; seconds.

    Attributes:
        first: until the first answer.
        again: until the answer after that.
        held: the longest that the event loop was held, from the first request to its answer.
        idle: the same for as long a time without a request, at least a second.
        size: bytes of the answer, compressed where the application does that.
    """

    first: float
    again: float
    held: float
    idle: float
    size: int


@dataclass(frozen=True)
class OpenApiCost:
    """What the document costs. Times are medians of the rounds, holds the least of them.

    Attributes:
        plugins: how many.
        routes: of each.
        built: asked for when it had been built beside the worker.
        at_once: asked for as soon as the server answered anything.
        changed: asked for in a worker that has added a route since the fork, and so builds it in a thread.
        bare: FastAPI's own.
    """

    plugins: int
    routes: int
    built: Asked
    at_once: Asked
    changed: Asked
    bare: Asked

    @property
    def held(self) -> float:
        """The longest that the event loop of the stack was held for the document, as it is by default."""
        return max(self.built.held, self.at_once.held)


def measure(plugins: int, routes: int, rounds: int, say: Callable[[str], None], *, others: int = 1) -> OpenApiCost:
    """Start a server for each measurement.

    Args:
        plugins: how many.
        routes: of each.
        rounds: of the one that was built.
        say: is told what was measured, a line for each.
        others: rounds of all else.

    Raises:
        RuntimeError: a server does not start, or does not answer as it should.
    """
    with many(plugins, routes) as modules:
        (modules.folder / "heart.py").write_text(HEART)
        late = modules.folder / "late"
        late.mkdir()
        (late / "late.py").write_text(SETUP)
        apps = {
            "built": modules.stack,
            "at_once": modules.stack,
            "changed": _with_plugins_of(late, modules.stack),
            "bare": modules.bare,
        }
        found: dict[str, list[Asked]] = {kind: [] for kind in apps}
        for kind, app in apps.items():
            for _ in range(rounds if kind == "built" else others):
                with serving(app) as server:
                    found[kind].append(_ask(server, at_once=kind == "at_once"))
                say(f"{kind:<8} {_words(found[kind][-1])}")
    return OpenApiCost(plugins, routes, **{kind: _of_all(asked) for kind, asked in found.items()})


def _with_plugins_of(folder: Path, app: App) -> App:
    paths = f"{app.environment['OPA_PLUGIN_PATHS']},{folder}"
    return replace(app, environment={**app.environment, "OPA_PLUGIN_PATHS": paths})


def _of_all(rounds: list[Asked]) -> Asked:
    return Asked(
        first=statistics.median(one.first for one in rounds),
        again=statistics.median(one.again for one in rounds),
        held=min(one.held for one in rounds),
        idle=min(one.idle for one in rounds),
        size=rounds[0].size,
    )


def _ask(server: Server, *, at_once: bool) -> Asked:
    _held(server)
    if not at_once:
        wait_for_workers(server.pid, 1)
        time.sleep(SETTLE)
        _held(server)
    first, size = _timed(server)
    held = _held(server)
    again, _ = _timed(server)
    _held(server)
    time.sleep(max(SETTLE, first))
    return Asked(first, again, held, _held(server), size)


def _held(server: Server) -> float:
    return float(_get(server, "/held"))


def _timed(server: Server) -> tuple[float, int]:
    began = time.perf_counter()
    size = len(_get(server, "/openapi.json"))
    return time.perf_counter() - began, size


def _get(server: Server, path: str) -> bytes:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_LIMIT)) as connection:
        connection.request("GET", path, headers=GZIP)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answers {answer.status}: {body[:200]!r}")
    return body


def _words(asked: Asked) -> str:
    numbers = " ".join(f"{name} {1000 * getattr(asked, name):8.1f} ms " for name in ("first", "again", "held", "idle"))
    return f"{numbers}{asked.size / 1e6:6.2f} MB"


TITLES = {
    "built": "opa-stack, when it is built",
    "at_once": "opa-stack, asked for at once",
    "changed": "opa-stack, a route added later",
    "bare": "bare FastAPI",
}


def main(plugins: int = 1000, routes: int = 10, rounds: int = 3, first_at_most: float = 0.0) -> None:
    """Print what it costs; exit with 1 where the first answer takes longer than `first_at_most` milliseconds."""
    cost = measure(plugins, routes, rounds, print, others=rounds)
    print(f"/openapi.json of {plugins} plugins of {routes} routes")
    for kind, title in TITLES.items():
        print(f"{title:<31} {_words(getattr(cost, kind))}")
    if first_at_most and 1000 * cost.built.first > first_at_most:
        print(f"that is more than {first_at_most:g} ms")
        sys.exit(1)


if __name__ == "__main__":
    import typer

    typer.run(main)
