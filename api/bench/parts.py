"""The measurements of `make bench`, and how large each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench import (
    calls,
    compare,
    components,
    events,
    growth,
    limited,
    log_lines,
    memory,
    model,
    openapi,
    profile,
    protocol,
    reload,
    routes,
    small,
    sql,
    startup,
    suite,
    tasks,
)
from bench.goals import Bound, Figure, Row
from bench.servers import COUNTING, STACK

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. What judges goals takes 10 minutes at most on 2 cores, what only shows that it works one.

    Attributes:
        plugins: of the measurements with many plugins; 10 routes each.
        growth: the numbers of plugins over which growth is shown.
        rounds: of what takes seconds for each.
        starts: rounds of starts that take less than a second.
        hello: rounds of the hello route.
        routes: rounds of requests in process.
        tasks: rounds of tasks.
        calls: processes in which a hook is called.
        seconds: for which a client sends requests in a round.
        workers: the numbers of workers whose memory is measured.
        components: that take a second each to connect.
        tests: of plugins, with an application each.
    """

    plugins: int
    growth: tuple[int, ...]
    rounds: int
    starts: int
    hello: int
    routes: int
    tasks: int
    calls: int
    seconds: float
    workers: tuple[int, ...]
    components: int
    tests: int


FULL = Sizes(
    plugins=1000,
    growth=(1, 10, 100, 1000, 3000),
    rounds=3,
    starts=15,
    hello=30,
    routes=100,
    tasks=40,
    calls=15,
    seconds=0.5,
    workers=(1, 2, 4),
    components=8,
    tests=100,
)
QUICK = Sizes(
    plugins=20,
    growth=(1, 20),
    rounds=1,
    starts=1,
    hello=2,
    routes=3,
    tasks=2,
    calls=2,
    seconds=0.1,
    workers=(1, 2),
    components=2,
    tests=3,
)
ROUTES = 10
CONNECTIONS = 32
TASKS_IN_A_ROUND = 50


@dataclass(frozen=True)
class Found:
    """What a measurement showed.

    Attributes:
        details: a dataclass, or what JSON has, for the file.
        rows: of the report.
    """

    details: Any
    rows: tuple[Row, ...] = ()


def _hello(sizes: Sizes, say: Say) -> Found:
    found = compare.compare(sizes.hello, sizes.seconds, CONNECTIONS, say)
    ratio = Figure("requests/s", found.ratio, Bound.AT_LEAST, 1.0)
    row = Row("hello route, 1 plugin, through gunicorn", "bare FastAPI, same server and settings", (ratio,))
    applications = {
        rounds.app.name: {"per_second": rounds.per_second, "rounds": [asdict(load) for load in rounds.rounds]}
        for rounds in (found.bare, found.stack)
    }
    return Found({"ratio": found.ratio, "applications": applications}, (row,))


def _events(sizes: Sizes, say: Say) -> Found:
    cost = events.measure(max(1, sizes.calls // 3), say)
    figures = (
        Figure("JSON", cost.ratio, Bound.AT_MOST, 1.0),
        Figure("a model of Pydantic", cost.model_ratio, Bound.AT_MOST, 1.0),
    )
    row = Row("an event is emitted; processor time", "one task is sent, with the same payload", figures)
    return Found(cost, (row,))


def _metrics(sizes: Sizes, say: Say) -> Found:
    found = compare.compare(sizes.hello, sizes.seconds, CONNECTIONS, say, first=STACK, second=COUNTING)
    ratio = Figure("requests/s", found.ratio, Bound.AT_LEAST, 0.97)
    row = Row("hello route with METRICS", "the same without", (ratio,))
    return Found({"ratio": found.ratio, "without": found.bare.per_second, "with": found.stack.per_second}, (row,))


def _sql(sizes: Sizes, say: Say) -> Found:
    found = sql.measure(sizes.hello, sizes.seconds, say)
    row = Row(
        "a route with a session of SQLAlchemy, committed before the answer; SQLite",
        "the same by hand on FastAPI, same server",
        (Figure("requests/s", found.ratio, Bound.AT_LEAST, 0.97),),
    )
    return Found({"ratio": found.ratio, "by_hand": found.bare.per_second, "stack": found.stack.per_second}, (row,))


def _routes(sizes: Sizes, say: Say) -> Found:
    found = routes.measure(sizes.plugins, ROUTES, sizes.routes)
    for kind, ratio in found.ratios.items():
        say(f"{kind:<24} {found.microseconds[kind]:8.1f} µs, bare {found.bare[kind]:8.1f} µs, {ratio:.3f} ×")

    def row(work: str, against: str, goal: float, *kinds: str) -> Row:
        figures = tuple(Figure(kind, found.ratios[kind], Bound.AT_MOST, goal) for kind in kinds)
        return Row(work, against, figures)

    among = f"among {found.routes:,} routes, in process"
    return Found(
        found,
        (
            row(f"the last route {among}", "the only route of a bare app", 1.1, "last route", "last nested route"),
            row(
                f"a 404, a 405, a redirected slash {among}",
                "the same in a bare app of one route",
                1.5,
                *("404", "404 deep in the paths", "405", "redirected slash"),
            ),
        ),
    )


def _startup(sizes: Sizes, say: Say) -> Found:
    found = startup.measure(sizes.plugins, ROUTES, sizes.rounds, say)
    row = Row(
        f"start to first answer, {_plugins(sizes)}",
        "bare FastAPI, the same modules imported and included by hand",
        (Figure("time", found.ratio, Bound.AT_MOST, 1.05),),
    )
    return Found(found, (row,))


def _small(sizes: Sizes, say: Say) -> Found:
    found = small.measure(sizes.starts, say)
    row = Row(
        "start to first answer, and memory (PSS): one plugin, no component",
        "bare FastAPI, same server",
        (
            Figure("time", found.time_ratio, Bound.AT_MOST, 1.35),
            Figure("memory", found.memory_ratio, Bound.AT_MOST, 1.2),
        ),
    )
    return Found(found, (row,))


def _openapi(sizes: Sizes, say: Say) -> Found:
    found = openapi.measure(sizes.plugins, ROUTES, sizes.rounds, say)
    row = Row(
        f"first `/openapi.json`, {_plugins(sizes)}",
        "–",
        (
            Figure("answer", 1000 * found.built.first, Bound.AT_MOST, 50, "ms"),
            Figure("event loop held", 1000 * found.held, Bound.AT_MOST, 20, "ms"),
        ),
    )
    return Found(found, (row,))


def _memory(sizes: Sizes, say: Say) -> Found:
    found = memory.measure(sizes.plugins, ROUTES, sizes.workers, say)
    row = Row(
        f"memory (PSS) that each further api worker adds, {_plugins(sizes)}",
        "what one worker alone takes",
        (
            Figure("idle", 100 * found.idle_share, Bound.AT_MOST, 15, "%"),
            Figure("after requests", 100 * found.share, Bound.AT_MOST, 15, "%"),
        ),
    )
    return Found(found, (row,))


def _calls(sizes: Sizes, say: Say) -> Found:
    found = calls.measure(sizes.calls)
    for name, nanoseconds in found.nanoseconds.items():
        say(f"{name:<16} {nanoseconds:8.1f} ns")
    hook = Row(
        "`call_hook`, one argument",
        "pluggy, one implementation; a plain function call",
        (
            Figure("speed beside pluggy", found.pluggy_by_hook, Bound.AT_LEAST, 5),
            Figure("time beside the call", found.hook_by_call, Bound.AT_MOST, 5),
        ),
    )
    setting = Row(
        "a settings read in a route (`config.X`)",
        "an attribute of a plain object",
        (Figure("time", found.setting_by_attribute, Bound.AT_MOST, 3),),
    )
    return Found(found, (hook, setting))


def _limits(sizes: Sizes, say: Say) -> Found:
    found = protocol.measure(sizes.calls)
    say(f"{found.limited:8.1f} µs, through uvicorn's own protocol {found.plain:8.1f} µs")
    row = Row(
        "hello route with the limits on connections and requests, in process",
        "the same through uvicorn's own protocol",
        (Figure("processor time", found.ratio, Bound.AT_MOST, 1.02),),
    )
    return Found(found, (row,))


def _limited(sizes: Sizes, _: Say) -> Found:
    found = limited.measure(sizes.calls)
    row = Row(
        "hello route with a rate limit, counted in redis, 32 requests at once, in process",
        "the same without one, processor time",
        (
            Figure("time", found.ratio, Bound.AT_MOST, 4),
            Figure("more", found.more / 1000, Bound.AT_MOST, 0.125, "ms"),
        ),
    )
    guarded = Row(
        "the same for who has an API key, kept in redis, with a limit by actor",
        "hello route without key and limit, processor time",
        (Figure("more", found.guarded_more / 1000, Bound.AT_MOST, 0.25, "ms"),),
    )
    return Found(found, (row, guarded))


def _log(sizes: Sizes, say: Say) -> Found:
    found = log_lines.measure(sizes.calls)
    for kind in found.more:
        say(f"{kind:<10} {found.masked[kind]:6.1f} µs, without the masking {found.plain[kind]:6.1f} µs")
    row = Row(
        "a line of the log, secrets masked",
        "the same line without the masking, processor time",
        tuple(Figure(kind, more, Bound.AT_MOST, 5, "µs") for kind, more in found.more.items()),
    )
    return Found(found, (row,))


def _reload(sizes: Sizes, say: Say) -> Found:
    found = reload.measure(2 * sizes.rounds + 1, say)
    row = Row(
        "in development, from a change of a file to the new answer: one plugin, `opa up`",
        "–",
        (Figure("time", found.median, Bound.AT_MOST, 1.0, "s"),),
    )
    return Found(found, (row,))


def _components(sizes: Sizes, say: Say) -> Found:
    found = components.measure(sizes.components, sizes.rounds, say)
    row = Row(
        f"start-up with {sizes.components} components that take 1 s each to connect",
        "one such component",
        (Figure("time", found.ratio, Bound.AT_MOST, 1.2),),
    )
    return Found(found, (row,))


def _tasks(sizes: Sizes, say: Say) -> Found:
    found = tasks.measure(sizes.tasks, TASKS_IN_A_ROUND, 1, say)
    row = Row(
        "no-op tasks, sent and run",
        "bare Celery, same broker, settings and worker",
        (Figure("tasks/s", tasks.ratio(found, "both"), Bound.AT_LEAST, 0.97),),
    )
    recorded = Row(
        "the same with a record of each run",
        "without, and bare Celery",
        (
            Figure("tasks/s", tasks.ratio(found, "both", tasks.RUNS, tasks.STACK), Bound.AT_LEAST, 0.93),
            Figure("beside Celery", tasks.ratio(found, "both", tasks.RUNS, tasks.BARE), Bound.AT_LEAST, 1.0),
        ),
    )
    return Found({name: [asdict(speed) for speed in speeds] for name, speeds in found.items()}, (row, recorded))


def _model(sizes: Sizes, say: Say) -> Found:
    found = model.measure(sizes.plugins, sizes.rounds, say)
    row = Row(
        "a plugin with `ready`: found, ordered, registered and run",
        "importing it by hand",
        (Figure("more", 1000 * found.per_plugin, Bound.AT_MOST, 0.1, "ms"),),
    )
    return Found(found, (row,))


def _suite(sizes: Sizes, say: Say) -> Found:
    found = suite.measure(sizes.tests, sizes.rounds, say)
    row = Row(
        f"{sizes.tests} tests of plugins by pytest, with an application, redis and tasks each",
        "nothing: the whole run, processor time",
        (Figure("time", found.applications, Bound.AT_MOST, 10, "s"),),
    )
    return Found(found, (row,))


def _growth(sizes: Sizes, say: Say) -> Found:
    return Found(growth.measure(sizes.growth, ROUTES, sizes.rounds, sizes.seconds, say))


def _profile(sizes: Sizes, _: Say) -> Found:
    return Found(profile.measure(sizes.plugins, ROUTES, 10 * sizes.seconds))


def _plugins(sizes: Sizes) -> str:
    return f"{sizes.plugins:,} plugins of {ROUTES} routes"


PARTS: Mapping[str, Callable[[Sizes, Say], Found]] = {
    "hello": _hello,
    "metrics": _metrics,
    "sql": _sql,
    "routes": _routes,
    "small": _small,
    "startup": _startup,
    "openapi": _openapi,
    "memory": _memory,
    "calls": _calls,
    "limits": _limits,
    "limited": _limited,
    "log": _log,
    "reload": _reload,
    "components": _components,
    "tasks": _tasks,
    "events": _events,
    "model": _model,
    "suite": _suite,
    "profile": _profile,
    "growth": _growth,
}
"""By name, in the order of the report."""
