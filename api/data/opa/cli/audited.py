"""Commands that change something write it into the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

Result = TypeVar("Result")


def audited(manager: PluginManager, what: str, **fields: Any) -> None:
    """Write into the audit log what the command has done.

    The command has done its work: where redis does not take the entry, it says so, and does not fail.
    """
    from opa import commands
    from opa.core.running import belonging_to

    with belonging_to(manager):
        asyncio.run(commands.audited(what, **fields))


async def with_client(manager: PluginManager, name: str, use: Callable[[Any], Coroutine[Any, Any, Result]]) -> Result:
    """What `use` makes of the client of a component, which is connected for it.

    Raises:
        ComponentUnavailableError: it is not configured, or not loaded.
        ComponentConnectError: it did not connect.
    """
    from opa.commands import connected
    from opa.core.running import belonging_to

    with belonging_to(manager):
        async with connected(name) as client:
            return await use(client)
