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
    instance = driver.get_instance()
    packages = {kind.__module__.partition(".")[0] for kind in type(instance).__mro__}
    if "sqlalchemy" in packages:
        from opa.plugins.migrations.packages import prepare_alembic

        prepare_alembic()
        from opa.plugins.migrations.sql import SqlLedger

        return SqlLedger(component, driver)
    store = own() if own is not None else store_of(instance, packages, project)
    if store is not None:
        from opa.plugins.migrations.leased import LeasedLedger

        return LeasedLedger(component, instance, store)
    raise OpaError(
        f"the driver '{driver.name}' of the component '{component}' does not say where migrations are recorded",
        hint="Give it a method migration_store, see docs/migrations.md",
    )


def store_of(client: Any, packages: set[str], project: str) -> Any:
    """What keeps the records of a client of redis or MongoDB; None for another."""
    if "redis" in packages:
        from opa.plugins.migrations.redis_store import RedisStore

        return RedisStore(client, project)
    if packages & {"pymongo", "motor"}:
        from opa.plugins.migrations.mongo_store import MongoStore

        return MongoStore(client)
    return None
