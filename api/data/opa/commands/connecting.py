"""Which components a command needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_NEEDS = "__opa_connects__"


def connects(*components: str) -> Callable[[Function], Function]:
    """Decorator of a command: only these components are connected for it, and no plugin is started.

    It stands below the decorator of Typer. Without it all components are connected, and setups, `ready` and `startup`
    of all plugins are run.

    Args:
        *components: their names; none where the command needs none.

    Raises:
        TypeError: it stands without parentheses, or one of them is no name.
    """
    for component in components:
        if not isinstance(component, str):
            raise TypeError('connects takes names of components: write @connects("aioredis"), or @connects()')

    def decorate(function: Function) -> Function:
        setattr(function, _NEEDS, tuple(component.lower() for component in components))
        return function

    return decorate


def needs_of(function: Callable[..., Any]) -> tuple[str, ...] | None:
    """The components that a command needs, in lower case; None where everything is started for it."""
    needs: tuple[str, ...] | None = getattr(function, _NEEDS, None)
    return needs


@asynccontextmanager
async def connected(component: str) -> AsyncIterator[Any]:
    """The client of a component in the block, which is connected for it where it is not connected already.

    Args:
        component: its name.

    Raises:
        ComponentUnavailableError: it is not configured, or not to be loaded.
        ComponentConnectError: it did not connect.
    """
    from opa.core.components import connected as connected_component
    from opa.core.manager import get_plugin_manager
    from opa.errors import ComponentUnavailableError

    manager, name = get_plugin_manager(), component.lower()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(connected_component(manager, name))
        if name not in manager.optional_components:
            state = manager.component_states.get(name)
            raise ComponentUnavailableError(f"component '{name}' is {state or 'not configured'}", component=name)
        yield manager.optional_components[name].get_instance()
