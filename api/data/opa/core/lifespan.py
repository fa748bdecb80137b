"""What happens in each serving process: connect and set up, and the reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from opa.core.components import connect_components, disconnect_components
from opa.core.setups import run_setups

if TYPE_CHECKING:
    from fastapi import FastAPI

    from opa.core.manager import PluginManager


@asynccontextmanager
async def running(manager: PluginManager, app: FastAPI | None = None) -> AsyncIterator[None]:
    """Connect the components and run the setups; on leaving, or where a step fails, undo what was done in reverse.

    Raises:
        ComponentConnectError: a component that had to connect did not.
        SetupError: a setup failed.
    """
    try:
        await connect_components(manager)
        await run_setups(manager.registry.setups, manager, app)
        yield
    finally:
        await disconnect_components(manager)
