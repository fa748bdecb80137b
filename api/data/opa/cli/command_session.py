"""What the functions of a plugin's commands run in: its components, and the event loop that these are connected on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

from opa.commands.connecting import needs_of
from opa.core.components import connected
from opa.core.lifespan import running
from opa.core.per_use import given_in_thread, given_on_loop
from opa.core.per_use_misfits import is_async, misfit
from opa.errors import OpaError
from opa.process.termination import terminated_as_by_ctrl_c

if TYPE_CHECKING:
    from opa.core.drivers import Driver
    from opa.core.manager import PluginManager


class CommandSession:
    """Starts what the functions of one call of `opa` need, before the first that needs it, and stops it in the end.

    The loop runs only while something is awaited.

    Args:
        manager: of which nothing is connected.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._around = ExitStack()
        self._is_begun = False
        self._is_running = False

    def call(
        self, function: Callable[..., Any], components: Mapping[str, str], /, *results: Any, **arguments: Any
    ) -> Any:
        """Call a function of a plugin, and give what it returns.

        Args:
            function: `def` or `async def`.
            components: those that it takes, by the parameter.
            *results: what a function about results gets: that of the command.
            **arguments: all others.

        Raises:
            ComponentUnavailableError: one of `components`, or of those that it `connects`, is not there.
            ComponentUseError: it cannot use what one of `components` gives.
            OpaError: what it needs does not start, or an event loop runs here already.
        """
        _refuse_in_event_loop()
        needs = needs_of(function)
        if not self._is_begun:
            self._around.enter_context(terminated_as_by_ctrl_c())
            self._is_begun = True
        self._runner.run(self._start(needs if needs is None else {*needs, *map(str.lower, components.values())}))
        for name in needs or ():
            self._manager.get_component(name)
        drivers = {parameter: self._manager.get_component(name) for parameter, name in components.items()}
        for driver in drivers.values():
            what = f"the command '{getattr(function, '__name__', function)}'"
            if (error := misfit(driver.component, driver.per_use, function, what)) is not None:
                raise error
        if is_async(function) and any(driver.per_use is not None for driver in drivers.values()):
            return self._runner.run(_awaited(function, drivers, *results, **arguments))
        with ExitStack() as stack:
            result = function(*results, **arguments, **given_in_thread(drivers, stack))
            return self._runner.run(result) if inspect.iscoroutine(result) else result

    def close(self) -> None:
        """Stop what was started.

        Raises:
            PluginError: a `shutdown` failed.
            SystemExit: it is the end by SIGTERM.
        """
        if not self._is_begun:
            return
        with self._around:
            try:
                self._runner.run(self._stack.aclose())
            finally:
                self._runner.close()

    async def _start(self, components: set[str] | None) -> None:
        if self._is_running:
            return
        if components is None:
            # What is connected for the callback of a group is connected anew with all others.
            await self._stack.aclose()
            await self._stack.enter_async_context(running(self._manager))
            self._is_running = True
            return
        for name in sorted(components - self._manager.optional_components.keys()):
            await self._stack.enter_async_context(connected(self._manager, name))


async def _awaited(
    function: Callable[..., Any], drivers: Mapping[str, Driver], /, *results: Any, **arguments: Any
) -> Any:
    async with AsyncExitStack() as stack:
        given = await given_on_loop(drivers, stack)
        return await function(*results, **arguments, **given)


def _refuse_in_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise OpaError(
        "a command of a plugin has an event loop of its own, and one runs in this thread already",
        hint="Await its function where another command calls it; in a test, call the command by asyncio.to_thread",
    )
