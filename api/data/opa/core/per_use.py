"""What components give for one use: a request, a run of a task, a step or a command of a plugin.

All that asks for a component in one use gets the same object, and another use gets another one. It ends with the use,
and hears how that has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, ExitStack
from types import TracebackType
from typing import Any

from opa.core.drivers import ASYNC, Driver
from opa.core.running import usable, usable_in_loop


class OneUse:
    """What the components have given to one use, on an event loop.

    Args:
        stack: its end is that of the use.
    """

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self._given: dict[Driver, Any] = {}

    async def give(self, driver: Driver) -> Any:
        """What the component of `driver` gives for this use; its instance, where it gives nothing to each.

        Raises:
            ComponentUnavailableError: it is known not to answer.
        """
        if driver in self._given:
            return self._given[driver]
        if driver.per_use is None:
            return (await usable_in_loop(driver)).get_instance()
        if driver.per_use == ASYNC:
            if not driver.guards_client:
                await driver.breaker.checked()
            given = await self.stack.enter_async_context(_OnLoop(driver.async_scope()))
        else:
            given = await self.stack.enter_async_context(_InThread(driver))
        self._given[driver] = given
        return given


class _OnLoop:
    """Ends a scope also where the use is cancelled; the scope hears of an error and does not end it."""

    def __init__(self, scope: AbstractAsyncContextManager[Any]) -> None:
        self._scope = scope

    async def __aenter__(self) -> Any:
        return await self._scope.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, Exception):
            await self._scope.__aexit__(kind, error, trace)
            return
        from anyio import CancelScope  # only where something was cancelled

        with CancelScope(shield=True):
            await self._scope.__aexit__(kind, error, trace)


class _InThread:
    """A scope that holds its thread while it begins and ends."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._scope: AbstractContextManager[Any]

    async def __aenter__(self) -> Any:
        from anyio import to_thread  # only where such a driver is used, as below

        return await to_thread.run_sync(self._begin)

    def _begin(self) -> Any:
        self._scope = usable(self._driver).scope()
        return self._scope.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from anyio import CancelScope, CapacityLimiter, to_thread

        # Not one of the threads of the routes: they may all wait for the connection that this gives back.
        with CancelScope(shield=True):
            await to_thread.run_sync(self._scope.__exit__, kind, error, trace, limiter=CapacityLimiter(1))


async def given_on_loop(drivers: Mapping[str, Driver], stack: AsyncExitStack) -> dict[str, Any]:
    """What components give for one use.

    Args:
        drivers: by the name of the parameter.
        stack: its end is that of the use.

    Raises:
        ComponentUnavailableError: one of them is known not to answer.
    """
    use = OneUse(stack)
    return {name: await use.give(driver) for name, driver in drivers.items()}


def given_in_thread(drivers: Mapping[str, Driver], stack: ExitStack) -> dict[str, Any]:
    """What components give for one use in this thread.

    Args:
        drivers: by the name of the parameter; none of them asynchronous.
        stack: its end is that of the use.

    Raises:
        ComponentUnavailableError: one of them is known not to answer.
    """
    given: dict[Driver, Any] = {}
    for driver in drivers.values():
        if driver in given:
            continue
        usable(driver)
        given[driver] = driver.get_instance() if driver.per_use is None else stack.enter_context(_Told(driver.scope()))
    return {name: given[driver] for name, driver in drivers.items()}


class _Told:
    """A scope that hears of an error and does not end it."""

    def __init__(self, scope: AbstractContextManager[Any]) -> None:
        self._scope = scope

    def __enter__(self) -> Any:
        return self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scope.__exit__(kind, error, trace)
