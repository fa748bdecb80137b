"""Which ledger a component has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opa import Driver, OpaError
from opa.plugins.migrations.ledger import Ledger


def ledger_of(component: str, driver: Driver, project: str) -> Ledger:
    """That of a component, which is connected.

    Args:
        component: its name.
        driver: its own.
        project: that of the settings, since several may share a redis.

    Raises:
        OpaError: its driver does not say how.
    """
    own: Callable[[], Any] | None = getattr(driver, "migration_store", None)
    new_engine: Callable[[], Any] | None = getattr(getattr(driver, "util", None), "new_engine", None)
    if own is None and new_engine is not None:  # of the drivers for SQL databases
        from opa.plugins.migrations.packages import prepare_alembic

        prepare_alembic()
        from opa.plugins.migrations.sql import SqlLedger

        return SqlLedger(component, new_engine())
    instance = driver.get_instance()
    store = own() if own is not None else store_of(instance, project)
    if store is not None:
        from opa.plugins.migrations.leased import LeasedLedger

        return LeasedLedger(component, instance, store)
    raise OpaError(
        f"the driver '{driver.name}' of the component '{component}' does not say where migrations are recorded",
        hint="Give it a method migration_store, see docs/migrations.md",
    )


def store_of(client: Any, project: str) -> Any:
    """What keeps the records of a client of redis or MongoDB; None for another."""
    packages = {kind.__module__.partition(".")[0] for kind in type(client).__mro__}
    if "redis" in packages:
        from opa.plugins.migrations.redis_store import RedisStore

        return RedisStore(client, project)
    if packages & {"pymongo", "motor"}:
        from opa.plugins.migrations.mongo_store import MongoStore

        return MongoStore(client)
    return None
