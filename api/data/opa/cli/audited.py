"""Commands that change something write it into the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from opa._util.printable import in_one_line

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

Result = TypeVar("Result")


def audited(manager: PluginManager, what: str, **fields: Any) -> None:
    """Write into the audit log what the command has done.

    The command has done its work: where redis does not take the entry, it says so, and does not fail.
    """
    from opa.access.audit import COMPONENT, TIME_LIMIT, entry_of, is_in_redis, write_line, write_to_redis

    entry = entry_of(what, fields=fields)
    write_line(entry)
    if not is_in_redis(manager.config):
        return

    async def write() -> None:
        async with asyncio.timeout(TIME_LIMIT):
            await with_client(manager, COMPONENT, lambda client: write_to_redis(client, manager.config, entry))

    try:
        asyncio.run(write())
    except Exception as error:  # noqa: BLE001 - a driver may raise anything, and what is written about is done
        reason = f"no answer within {TIME_LIMIT:g} s" if isinstance(error, TimeoutError) else str(error)
        typer.echo(in_one_line(f"it is done, but not written into the audit log in redis: {reason}"), err=True)


async def with_client(manager: PluginManager, name: str, use: Callable[[Any], Coroutine[Any, Any, Result]]) -> Result:
    """What `use` makes of the client of a component, which is connected for it.

    Raises:
        ComponentUnavailableError: it is not configured, or not loaded.
        ComponentConnectError: it did not connect.
    """
    from opa.core.components import connected
    from opa.errors import ComponentUnavailableError

    async with connected(manager, name):
        if name in manager.optional_components:
            return await use(manager.optional_components[name].get_instance())
    state = manager.component_states.get(name)
    raise ComponentUnavailableError(f"component '{name}' is {state or 'not configured'}", component=name)
