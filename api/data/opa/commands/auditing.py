"""Commands that change something write it into the audit log."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from opa._util.printable import in_one_line
from opa.commands.connecting import connected


async def audited(what: str, **fields: Any) -> None:
    """Write into the audit log what the command has done, and wait until it is written.

    The command has done its work: where redis does not take the entry, standard error says so, and nothing is raised.

    Args:
        what: was done, as `orders.delete`.
        **fields: say more, as those of `opa.audit`.
    """
    from opa.access.audit import COMPONENT, TIME_LIMIT, entry_of, is_in_redis, write_line, write_to_redis
    from opa.core.manager import get_plugin_manager

    config, entry = get_plugin_manager().config, entry_of(what, fields=fields)
    write_line(entry)
    if not is_in_redis(config):
        return
    try:
        async with asyncio.timeout(TIME_LIMIT), connected(COMPONENT) as client:
            await write_to_redis(client, config, entry)
    except Exception as error:  # noqa: BLE001 - a driver may raise anything, and what is written about is done
        reason = f"no answer within {TIME_LIMIT:g} s" if isinstance(error, TimeoutError) else str(error)
        typer.echo(in_one_line(f"it is done, but not written into the audit log in redis: {reason}"), err=True)
