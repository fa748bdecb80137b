"""The servers of the Celery application, the broker and the one that has the results: asked, reached, and let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.backends.redis import RedisBackend

from opa._compat.celery.app import close_pools
from opa.core.breaker import PROBE_TIMEOUT
from opa.core.component_observers import PoolUse
from opa.redis_clients import pools as redis_pool
from opa.tasks.brokers.rabbitmq import BREAKER

if TYPE_CHECKING:
    from celery import Celery

    from opa.core.breaker import Breaker

CONNECT_TIMEOUT = 3
"""Seconds. A server that refuses is noticed at once."""


def ask_broker(app: Celery) -> None:
    """Connect to the broker anew."""
    limits = dict.fromkeys(("read_timeout", "write_timeout", "socket_timeout", "socket_connect_timeout"), PROBE_TIMEOUT)
    with app.connection_for_write(
        connect_timeout=PROBE_TIMEOUT, transport_options={**limits, BREAKER: None}
    ) as connection:
        _ensure(connection, PROBE_TIMEOUT, reraise_as_library_errors=True)


def ask_results(app: Celery) -> None:
    """Ask the server that has the results."""
    if isinstance(app.backend, RedisBackend):
        redis_pool.ask(app.backend.client.connection_pool)


def guard_results(app: Celery, breaker: Breaker) -> None:
    """Refuse what goes to the server that has the results while `breaker` is open."""
    if isinstance(app.backend, RedisBackend):
        app.backend.client.connection_pool.guard_by(breaker)


def results_use(app: Celery) -> PoolUse | None:
    """How the connections to the server that has the results are used; None where that is not redis, or is a cluster's.

    In a process that has not asked for a result, there are none.
    """
    backend: Any = app.backend
    pool = getattr(backend.client, "connection_pool", None) if "client" in vars(backend) else None
    return pool.use() if isinstance(pool, redis_pool.GuardedPool) else None


def reach(app: Celery) -> None:
    """Connect to both servers as a sender does."""
    with app.connection_for_write() as connection:
        _ensure(connection, CONNECT_TIMEOUT, reraise_as_library_errors=False)
    if isinstance(app.backend, RedisBackend):
        app.backend.client.ping()


def let_go(app: Celery) -> None:
    """Close every connection of the application."""
    close_pools(app)
    if isinstance(app.backend, RedisBackend):
        app.backend.result_consumer.stop()  # type: ignore[attr-defined]  # celery-types lacks it
        app.backend.client.connection_pool.disconnect()
    app.close()


def _ensure(connection: Any, time_limit: float, *, reraise_as_library_errors: bool) -> None:
    """Connect to the broker; each address once, since anyone who calls this tries again by itself."""
    connection.ensure_connection(
        max_retries=max(len(connection.alt) - 1, 0),
        interval_start=0,
        timeout=time_limit,
        reraise_as_library_errors=reraise_as_library_errors,
    )
