"""What it takes to find a route among many: in process, beside a bare application that has one route and nothing else.

In a round each request is made some times to the one application, and then to the other. A ratio is the median of
those of single rounds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bench.asgi import Caller, scope_of
from bench.fresh import found_by
from bench.many import many

# Requests of a kind in a round: so few that a round takes milliseconds, and what disturbs it hits both.
REQUESTS = 50
# Before those: the code of another kind of request is in no cache of the processor.
WARM_UP = 10
NESTED = "/outer/inner"
OWN = "/p0/r0/1"


@dataclass(frozen=True)
class Request:
    """A kind of request.

    Attributes:
        path: of the stack.
        own_path: the same of the bare application.
        status: what both answer.
    """

    path: str
    own_path: str
    status: int
    method: str = "GET"


@dataclass(frozen=True)
class RouteCost:
    """What requests take.

    Attributes:
        routes: of the stack: in plugins, and as many again in routers that two others include, one in the other.
        index: milliseconds to build the index over them.
        microseconds: the median for each kind of request, of the stack.
        bare: the same of an application with one route.
        ratios: how many times as long the stack takes.
    """

    routes: int
    index: float
    microseconds: Mapping[str, float]
    bare: Mapping[str, float]
    ratios: Mapping[str, float]


def measure(plugins: int, routes: int, rounds: int) -> RouteCost:
    """Measure in a fresh process.

    Args:
        plugins: how many.
        routes: of each.
        rounds: of all kinds of requests.

    Raises:
        RuntimeError: the process failed; the message has what it said.
    """
    with many(plugins, routes) as modules:
        program = f"from bench.routes import time_here; time_here({plugins}, {routes}, {rounds})"
        found = found_by(program, modules.stack.environment)
    kinds: dict[str, list[tuple[float, float]]] = found["kinds"]
    return RouteCost(
        routes=plugins * routes,
        index=found["index"],
        microseconds={kind: statistics.median(ours for ours, _ in times) for kind, times in kinds.items()},
        bare={kind: statistics.median(its for _, its in times) for kind, times in kinds.items()},
        ratios={kind: statistics.median(ours / its for ours, its in times) for kind, times in kinds.items()},
    )


def time_here(plugins: int, routes: int, rounds: int) -> None:
    """Build both applications in this process, and print what each round took, as JSON."""
    from opa._util.garbage import no_collection
    from opa.bootstrap import prepare
    from opa.http.builder import build_app

    with no_collection():
        app = build_app(prepare())
        app.include_router(_nested(plugins, routes))
        # A list that is assigned is read again.
        app.router.routes = list(app.router.routes)
        started = time.perf_counter()
        app.build_index()
        index = time.perf_counter() - started
    gc.freeze()  # as where plugins are loaded before the fork
    last = f"/p{plugins - 1}/r{routes - 1}/1"
    kinds = {
        "first route": Request(OWN, OWN, 200),
        "last route": Request(last, OWN, 200),
        "last nested route": Request(NESTED + last, OWN, 200),
        "404": Request("/nobody", "/nobody", 404),
        "404 deep in the paths": Request(last + "/nobody", OWN + "/nobody", 404),
        "405": Request(last, OWN, 405, "POST"),
        "redirected slash": Request(last + "/", OWN + "/", 307),
    }
    found = asyncio.run(_time(app, _bare(), kinds, rounds))
    print(json.dumps({"index": 1000 * index, "kinds": found}))


def _nested(plugins: int, routes: int) -> Any:
    """The routes of the plugins once more, in a router that two others include, one in the other."""
    from fastapi import APIRouter

    innermost, inner, outer = APIRouter(), APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    for plugin in range(plugins):
        for route in range(routes):
            innermost.add_api_route(f"/p{plugin}/r{route}/{{x}}", _answer)
    inner.include_router(innermost)
    outer.include_router(inner)
    return outer


def _bare() -> Any:
    """An application of a FastAPI of its own.

    opa-stack has JSON written by another encoder, in the whole process. And what both would run, Python would prepare
    for neither.
    """
    known = _taken_out()
    from fastapi import FastAPI

    _taken_out()
    sys.modules.update(known)
    app = FastAPI(openapi_url=None)  # which leaves out the routes of the documentation
    app.add_api_route("/p0/r0/{x}", _answer)
    return app


def _taken_out() -> dict[str, ModuleType]:
    """The modules of FastAPI and Starlette, which will be imported anew."""
    names = [name for name in sys.modules if name.partition(".")[0] in ("fastapi", "starlette")]
    return {name: sys.modules.pop(name) for name in names}


async def _answer(x: int) -> dict[str, int]:
    return {"x": x}


async def _time(app: Any, bare: Any, kinds: Mapping[str, Request], rounds: int) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):
        for kind, request in kinds.items():
            ours = await _seconds(app, request.path, request)
            its = await _seconds(bare, request.own_path, request)
            if number:  # the first one finds cold caches
                found[kind].append((1e6 * ours, 1e6 * its))
    return found


async def _seconds(app: Any, path: str, request: Request) -> float:
    caller = Caller(app)
    scopes = [scope_of(path, request.method) for _ in range(REQUESTS)]
    started = time.perf_counter()
    for scope in scopes:
        await caller.request(scope)
    seconds = time.perf_counter() - started
    if caller.statuses != {request.status}:
        raise RuntimeError(f"{request.method} {path} answers {caller.statuses} instead of {request.status}")
    return seconds / REQUESTS


def main(plugins: int = 1000, routes: int = 10, rounds: int = 100) -> None:
    """Print what requests take among `plugins` times `routes` routes, and as many nested ones."""
    cost = measure(plugins, routes, rounds)
    print(f"{cost.routes:,} routes and {cost.routes:,} nested ones, the index in {cost.index:.0f} ms")
    print(f"{'':<24}{'opa-stack':>12}{'bare':>12}{'ratio':>10}")
    for kind, ratio in cost.ratios.items():
        print(f"{kind:<24}{cost.microseconds[kind]:>9.1f} µs{cost.bare[kind]:>9.1f} µs{ratio:>10.3f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
