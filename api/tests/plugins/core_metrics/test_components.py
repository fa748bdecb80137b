"""How the pools of components are used, and how long calls wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from opa import PoolUse, get_component, get_instance
from tests.plugins.core_metrics.prometheus import Scrape
from tests.project import Project
from tests.servers import wait_until

PLUGIN = """
import asyncio
import threading
from contextlib import nullcontext

from opa import Driver, PoolUse, get_instance, get_router, register, task


class Rooms(Driver):
    name = "rooms"

    def connect(self):
        self.instance = self
        self.taken = 0
        self.names = ["rooms"]
        self.goes_on = threading.Event()
        self.hangs = False

    def pools(self):
        if self.hangs:
            self.goes_on.wait(600)
        if self.names is None:
            raise ValueError("nobody knows")
        return {name: PoolUse(self.taken, 3 - self.taken, 3) for name in self.names}

    def take(self):
        with self.waiting() if self.taken == 3 else nullcontext():
            self.taken = min(self.taken + 1, 3)

    def hold(self):
        self.breaker.check_in_thread()
        self.goes_on.wait(30)


router = get_router()


@router.get("/held")
def held():
    get_instance("rooms").hold()


@router.get("/threads")
async def threads():
    import anyio.to_thread
    anyio.to_thread.current_default_thread_limiter().total_tokens = 1


@router.get("/redis/{key}")
async def wait(key: str):
    await get_instance("aioredis").blpop(key, 30)


@router.get("/mongo/{times}")
async def ping(times: int):
    for client in (get_instance("motor"), get_instance("mongo")):
        await asyncio.gather(*(client.admin.command("ping") for _ in range(times)))


@task
def work():
    pass
"""


@contextmanager
def measured(project: Project) -> Iterator[tuple[TestClient, Callable[[], Scrape]]]:
    """A client, and what gives the metrics."""
    project.settings(METRICS=True, METRICS_URL="/metrics")
    project.plugin("hotel.py", PLUGIN)
    with project.client(client=("127.0.0.1", 1), base_url="http://localhost") as client:
        yield client, lambda: Scrape(client.get("/metrics").text)


@pytest.fixture(autouse=True)
def _in_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "dev")


def use(found: Scrape, component: str, pool: str = "connections") -> tuple[float, float, float]:
    """Connections in use, idle ones, and the limit."""
    name, labels = "opa_component_pool_connections", {"component": component, "pool": pool}
    states = [found.sum(name, state=state, **labels) for state in ("used", "idle")]
    return states[0], states[1], found.sum("opa_component_pool_limit", **labels)


def waits(found: Scrape, component: str, reason: str = "connection") -> float:
    return found.sum("opa_component_wait_seconds_count", component=component, reason=reason)


def test_pools_of_redis_are_shown_with_calls_that_wait_for_a_connection(project: Project, redis_url: str) -> None:
    for name, driver in (("AIOREDIS", "redis-aioredis"), ("WALRUS", "redis-walrus")):
        project.component(name, driver, URL=f"{redis_url}/9", MAX_CONNECTIONS=1)
    with (
        measured(project) as (client, metrics),
        ThreadPoolExecutor(4) as threads,
        Redis.from_url(f"{redis_url}/9") as server,
    ):
        calls: dict[str, Callable[[str], Any]] = {
            "aioredis": lambda key: client.get(f"/redis/{key}"),
            "walrus": lambda key: get_instance("walrus").blpop(key, 30),
        }
        for name, call in calls.items():
            assert waits(metrics(), name) == 0
            assert use(metrics(), name) == (0, 1, 1), "it was asked whether it answers"

            tries: list[str] = []

            def has_waited(name: str = name, call: Callable[[str], Any] = call, tries: list[str] = tries) -> bool:
                tries.append(name)
                first = threads.submit(call, f"{name}-a")
                wait_until(lambda: use(metrics(), name) == (1, 0, 1))
                second = threads.submit(call, f"{name}-b")
                for key in ("b", "a"):  # the first waits for its key, and the second for the connection
                    server.lpush(f"{name}-{key}", "1")
                first.result(30)
                second.result(30)
                assert use(metrics(), name) == (0, 1, 1)
                return waits(metrics(), name) > 0

            wait_until(has_waited)  # the second may have been slower than the first
            assert waits(metrics(), name) <= len(tries), "each is counted once"
            assert metrics().sum("opa_component_wait_seconds_sum", component=name) > 0


def test_pools_of_mongodb_are_shown_with_calls_that_wait_for_a_connection(project: Project, mongo_url: str) -> None:
    for name, driver in (
        ("MOTOR", "mongodb-async-motor"),
        ("MONGO", "mongodb-async-pymongo"),
        ("SYNC", "mongodb-pymongo"),
    ):
        project.component(name, driver, URL=mongo_url, MAXPOOLSIZE=1)
    with measured(project) as (client, metrics), ThreadPoolExecutor(30) as threads:
        for name in ("motor", "mongo", "sync"):
            assert waits(metrics(), name) == 0
            assert use(metrics(), name) == (0, 1, 1)
        client.get("/mongo/30").raise_for_status()
        list(threads.map(lambda _: get_instance("sync").admin.command("ping"), range(200)))
        found = metrics()
        for name in ("motor", "mongo", "sync"):
            assert waits(found, name) > 0
            assert use(found, name) == (0, 1, 1)
        assert waits(found, "mongo") <= 29, "the first does not wait"
        sync: Any = get_component("sync")
        watch, seen = sync.pool_watch, []
        checked_out = watch.connection_checked_out

        def and_look(event: object) -> None:
            checked_out(event)
            seen.append(watch.use())

        watch.connection_checked_out = and_look
        get_instance("sync").admin.command("ping")
        assert seen == [PoolUse(1, 0, 1)]
    assert watch.use() == PoolUse(0, 0, 0), "the client is closed"


def test_the_pool_of_a_sender_of_tasks_is_shown(project: Project, redis_url: str) -> None:
    project.component(
        "CELERY",
        "celery",
        BROKER_URL=f"{redis_url}/9",
        BACKEND_URL=f"{redis_url}/10",
        BROKER_POOL_LIMIT=2,
    )
    with measured(project) as (_, metrics), ThreadPoolExecutor(20) as threads:
        import hotel  # type: ignore[import-not-found]

        app = get_instance("celery")
        assert use(metrics(), "celery", "broker")[0] == 0
        list(threads.map(lambda _: hotel.work.delay(), range(40)))
        assert waits(metrics(), "celery") > 0
        with app.producer_or_acquire():
            assert use(metrics(), "celery", "broker")[::2] == (1, 2)
        assert use(metrics(), "celery", "broker")[0] == 0
        in_use, _, limit = use(metrics(), "celery", "results")
        assert in_use <= limit
        app.control.purge()


def test_a_driver_of_a_plugin_tells_how_its_pools_are_used_and_how_long_calls_wait(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.component("ROOMS", "rooms")
    with measured(project) as (client, metrics), ThreadPoolExecutor(4) as threads:
        rooms: Any = get_component("rooms")
        assert use(metrics(), "rooms", "rooms") == (0, 3, 3)
        for taken in range(1, 5):
            rooms.take()
            assert use(metrics(), "rooms", "rooms") == (min(taken, 3), 3 - min(taken, 3), 3)
        assert waits(metrics(), "rooms") == 1

        rooms.names = [f"room {number}" for number in range(1000)]
        found = metrics()
        assert use(found, "rooms", "rooms") == (0, 0, 0), "a pool that is gone"
        assert len(found.values("opa_component_pool_connections", "pool")) == 20
        rooms.names = None
        assert use(metrics(), "rooms", "room 1") == (0, 0, 0)

        # Its routes have threads of their own: those who wait for one are told from those who wait for a connection.
        rooms.goes_on.set()
        client.get("/threads").raise_for_status()
        client.get("/held").raise_for_status()
        assert waits(metrics(), "rooms", "thread") == 0
        rooms.goes_on.clear()
        held = [threads.submit(client.get, "/held") for _ in range(3)]
        wait_until(lambda: metrics().sum("opa_http_requests_in_flight") == 4)
        rooms.goes_on.set()
        for request in held:
            request.result(30).raise_for_status()
        assert waits(metrics(), "rooms", "thread") == 2


def test_a_driver_that_hangs_as_it_tells_of_its_pools_holds_up_nothing_and_is_named_in_the_log(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.component("OTHER", "rooms")
    project.component("ROOMS", "rooms")
    with measured(project) as (client, metrics):
        # Not before: whoever imports a plugin ahead of the application has it without what it registers.
        monkeypatch.setattr("opa.plugins.core_metrics.component_metrics.HANGS_AFTER", 0.5)
        rooms: Any = get_component("rooms")
        other: Any = get_component("other")
        assert use(metrics(), "rooms", "rooms") == (0, 3, 3)
        rooms.hangs = True
        wait_until(lambda: use(metrics(), "rooms", "rooms") == (0, 0, 0))
        other.take()
        assert client.get("/threads").is_success, "the event loop turns"
        wait_until(lambda: use(metrics(), "other", "rooms") == (1, 2, 3))
        assert use(metrics(), "rooms", "rooms") == (0, 0, 0)
        rooms.hangs = False
        rooms.goes_on.set()
        wait_until(lambda: use(metrics(), "rooms", "rooms") == (0, 3, 3))
    told = "component 'rooms' does not tell how its pools are used: pools() of its driver has not returned for 0.5 s"
    assert told in capsys.readouterr().err


def test_what_drivers_and_plugins_name_costs_no_other_metric(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a character comes with any JSON."""
    project.component("ROOMS", "rooms")
    project.plugin(
        "odd.py",
        """
        from prometheus_client import REGISTRY, Counter, Metric

        orders = Counter("orders", "Taken.", ["who"])

        class Collector:
            def collect(self):
                odd = Metric("odd", "Not of text.", "gauge")
                odd.add_sample("odd", {"who": 5, "what": "\\ud800"}, "much")
                yield odd

        REGISTRY.register(Collector())
        """,
    )
    with measured(project) as (_client, metrics):
        rooms: Any = get_component("rooms")
        import odd  # type: ignore[import-not-found]

        for who in ("\ud800", "anna"):
            odd.orders.labels(who).inc()
        rooms.names = [5, None, object(), "\ud800", "x" * 10_000]
        assert use(metrics(), "rooms", "5") == use(metrics(), "rooms", "x" * 100) == (0, 3, 3)
        rooms.names = None
        found = metrics()
        assert use(found, "rooms", "None") == use(found, "rooms", "?") == (0, 0, 0)
        assert (found.sum("orders_total", who="?"), found.sum("orders_total", who="anna")) == (1, 1)
    assert "the metric 'odd' cannot be written, and is not shown" in capsys.readouterr().err


def test_observers_are_told_of_waits_and_one_that_fails_disturbs_nobody(project: Project) -> None:
    project.plugin(
        "watch.py",
        """
        from opa import ComponentObserver, register

        made, told = [], []

        @register("component_observers")
        class Watch(ComponentObserver):
            def __init__(self):
                made.append(self)

            def waited(self, component, reason, seconds):
                told.append((component, reason, seconds))
                raise ValueError("watching fails")
        """,
    )
    project.component("ROOMS", "rooms")
    project.component("HALLS", "rooms")
    project.plugin("hotel.py", PLUGIN)
    with project.client():
        rooms: Any = get_component("rooms")
        for _ in range(5):
            rooms.take()
        import watch  # type: ignore[import-not-found]

        assert [(component, reason) for component, reason, _ in watch.told] == [("rooms", "connection")] * 2
        assert all(seconds >= 0 for *_, seconds in watch.told)
        assert get_component("halls").tell_wait is not None
        assert len(watch.made) == 1, "one for all components"


def test_without_an_observer_nothing_is_measured(project: Project, redis_url: str) -> None:
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    project.component("ROOMS", "rooms")
    project.plugin("hotel.py", PLUGIN)
    with project.client():
        assert get_component("rooms").tell_wait is None
        assert "get_connection" not in vars(get_instance("aioredis").connection_pool)
        assert dict(get_component("aioredis").pools()) == {"connections": PoolUse(0, 1, 100)}
