"""How the connections by which tasks are sent are used, and how long a sender waits for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from opa._compat.celery.app import used_pools
from opa._compat.kombu import pool_counts
from opa.core.component_observers import CONNECTION, PoolUse, measured


def broker_use(app: Any) -> PoolUse | None:
    """That of the connections to the broker in this process; None where no task was sent yet."""
    connections, _ = used_pools(app)
    if connections is None:
        return None
    in_use, idle = pool_counts(connections)
    return PoolUse(in_use, idle, connections.limit or None)


@contextmanager
def measured_where_used_up(app: Any, context: AbstractContextManager[Any]) -> Iterator[Any]:
    """The context, of which is told how long it took to enter it where all that send were in use."""
    _, producers = used_pools(app)
    is_used_up = producers is not None and producers.limit and pool_counts(producers)[0] >= producers.limit
    with ExitStack() as stack:
        with measured(app.tell_wait if is_used_up else None, CONNECTION):
            entered = stack.enter_context(context)
        yield entered
