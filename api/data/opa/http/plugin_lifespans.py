"""Starts the lifespans of routers and of mounted applications as what they are: a step of a plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from opa.core.raised import came_late, in_words, problem_of
from opa.core.start_waits import note_step
from opa.errors import LifecycleError, PluginError
from opa.loading.import_errors import deepest_line_in

if TYPE_CHECKING:
    from starlette.types import Lifespan

    from opa.core.lifespan import Skip
    from opa.core.manager import PluginManager


class LifespanStarter:
    """Starts lifespans within the time that a `startup` may take; they end with `stack`, the last first.

    Args:
        manager: the plugins.
        skip: skips a plugin that failed, or raises its error. What it has started ends with all others:
            task groups have to end in the reverse order of their start.
        contributed_by: what a lifespan adds to the application while it starts belongs to its plugin, too.
        stack: of those that have started.

    Attributes:
        state: what they gave, together; of two with a key the first.
    """

    def __init__(
        self,
        manager: PluginManager,
        skip: Skip,
        contributed_by: Callable[[str], AbstractContextManager[None]],
        stack: AsyncExitStack,
    ) -> None:
        self._manager = manager
        self._skip = skip
        self._contributed_by = contributed_by
        self._stack = stack
        self.state: dict[str, Any] = {}

    async def start(self, what: str, lifespan: Lifespan[Any], app: Any, plugin: str | None) -> None:
        """Start one, unless its plugin has been skipped.

        Args:
            what: has it, for messages.
            lifespan: of a router or an application.
            app: what it gets.
            plugin: that it belongs to; None where only the module of the lifespan can tell.

        Raises:
            PluginError: it failed or took too long, and the plugin may not be skipped.
        """
        roster = self._manager.roster
        plugin = plugin or self._manager.plugin_of_module(getattr(lifespan, "__module__", None) or "")
        if plugin is not None and plugin not in roster:
            return
        limits = roster.policy
        limit = limits.limits["STARTUP"] if plugin is None else limits.limit(plugin, "STARTUP")
        whose = f"the lifespan of {what}" + (f" of plugin '{plugin}'" if plugin else "")
        note_step(whose)
        try:
            with nullcontext() if plugin is None else self._contributed_by(plugin):
                given = await self._started(whose, lifespan, app, limit)
        except PluginError as error:
            error.plugin = error.plugin or plugin
            if plugin is None:
                raise
            await self._skip(plugin, error)
        else:
            self.state = {**(given or {}), **self.state}

    async def build(self, what: str, app: Any, plugin: str | None) -> None:
        """Make the middleware of an application that is mounted, which would be made when it is first asked.

        Args:
            what: it is, for messages.
            app: the application; a router has no middleware.
            plugin: that it belongs to, where that is known.

        Raises:
            PluginError: some cannot be made, and the plugin may not be skipped.
        """
        if not getattr(app, "user_middleware", None) or app.middleware_stack is not None:
            return
        if plugin is not None and plugin not in self._manager.roster:
            return
        try:
            app.middleware_stack = app.build_middleware_stack()
        except (Exception, SystemExit) as error:
            whose = what + (f" of plugin '{plugin}'" if plugin else "")
            failure = LifecycleError(
                f"the middleware of {whose} cannot be made: {in_words(error)}",
                plugin=plugin,
                where=deepest_line_in(self._manager.folders, error),
                hint="Fix its __init__, or its options",
            )
            if plugin is None:
                raise failure from error
            failure.__cause__ = error
            await self._skip(plugin, failure)

    async def _started(self, whose: str, lifespan: Lifespan[Any], app: Any, limit: float) -> Any:
        timeout = None
        try:
            async with asyncio.timeout(limit) as timeout:
                running = cast("AbstractAsyncContextManager[Any]", lifespan(app))
                given = await running.__aenter__()
                self._stack.push_async_exit(partial(self._end, running, whose))
                return given
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            late = came_late(error, timeout)
            origin = (error.__cause__ or error) if late else error
            raise LifecycleError(
                f"{whose} {problem_of(error, timeout, limit)}",
                where=deepest_line_in(self._manager.folders, origin),
                hint="Fix it, or raise PLUGIN_STARTUP_TIMEOUT" if late else "Fix it",
            ) from error

    async def _end(
        self,
        running: AbstractAsyncContextManager[Any],
        whose: str,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """End one that has started; what has ended the others goes through it."""
        try:
            return await running.__aexit__(kind, failure, trace)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            if error is failure:
                raise
            raise LifecycleError(
                f"{whose} {problem_of(error, None, 0)} while it ended",
                where=deepest_line_in(self._manager.folders, error),
                hint="Fix it",
            ) from error
