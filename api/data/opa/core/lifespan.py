"""What happens in each serving process: connect, set up, `ready`, `startup`; and the reverse."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from opa.core.around_process import around_process
from opa.core.components import connect_components, disconnect_components, drop_components
from opa.core.lifecycle import GROUPS, LifecycleRunner, StepName
from opa.core.loop_watch import LoopWatch, NoWatch
from opa.core.running import belonging_to
from opa.core.setups import asks_for, run_setup
from opa.core.start_waits import note_step
from opa.core.uses import Uses, used_by_routes
from opa.errors import PluginError
from opa.logging.logger import keep_logging, log

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.core.register import PluginObjects

Skip = Callable[[str, PluginError], Awaitable[object]]
"""Skips the plugin of that name, or raises its error where it may not be skipped."""


class Application(Protocol):
    """What the plugins of an application that serves requests add to."""

    @property
    def router(self) -> Any:
        """Has the `routes`."""

    def contributed_by(self, plugin: str) -> AbstractContextManager[None]:
        """What is added in the block belongs to `plugin`."""

    def remove_contributions_of(self, plugin: str) -> None:
        """Take out what `plugin` has added."""


@asynccontextmanager
async def running(manager: PluginManager, app: Application | None = None) -> AsyncIterator[Skip]:
    """Start what `manager` has loaded; on leaving, or where a step fails, stop what has started, in reverse.

    A plugin that fails is skipped where the settings say so. Stopping one thing that fails does not keep the others
    from being stopped.

    Gives what skips a plugin that fails later in the start.

    Raises:
        ComponentConnectError: a component that had to connect did not.
        PluginError: a setup, `ready`, `startup` or `shutdown` of a plugin that may not be skipped failed; the
            first that did.
    """
    with belonging_to(manager):
        process = _Process(manager, app)
        watch = _watch(manager)
        try:
            note_step("the connecting of its components")
            await connect_components(manager)
            await process.set_up()
            await process.start()
            note_step("" if app is None else "the group around_process")
            keep_logging(manager.config)
            watch.start()
            with nullcontext() if app is None else around_process(manager):
                yield process.skip
        finally:
            note_step("")
            watch.stop()
            is_failing = sys.exc_info()[0] is not None
            failure = await process.stop()
            await disconnect_components(manager)
        if failure is not None and not is_failing:
            raise failure


def _watch(manager: PluginManager) -> LoopWatch | NoWatch:
    """What watches the event loop; a debugger holds it while it stands at a breakpoint."""
    config = manager.config
    is_watched = config.LOOP_BLOCK_LIMIT is not None and not config.DEBUGPY
    return LoopWatch(manager, config.LOOP_BLOCK_LIMIT) if is_watched else NoWatch()


class _Process:
    """What is started in this process, and must be stopped."""

    def __init__(self, manager: PluginManager, app: Application | None) -> None:
        self._manager = manager
        self._app = app
        self._injectables: dict[str, Any] = {"pm": manager, "plugin_manager": manager, "config": manager.config}
        if app is not None:
            self._injectables["app"] = app
        self._runner = LifecycleRunner(self._injectables)
        self._started: list[PluginObjects] = []
        routes = 0 if app is None else len(app.router.routes)
        # What a setup makes a route of is no step either.
        self._uses = Uses(lambda: [] if app is None else used_by_routes(app.router.routes[routes:]))

    async def set_up(self) -> None:
        """Run the setups, in load order; where there is no application, those that need it are skipped."""
        for found in self._manager.registry.starting:
            for setup in found.setups:
                if self._app is None and asks_for("app", setup):
                    continue
                name = f"{setup.__module__}.{setup.__name__}"
                try:
                    with self._contributions_of(found.plugin.name):
                        self._manager.status[name]["init"] = await run_setup(
                            setup, found.plugin.name, self._injectables
                        )
                except PluginError as error:
                    await self.skip(found.plugin.name, error)
                    break

    async def start(self) -> None:
        """Run `ready` of all plugins, then `startup` of all, then the group `startup`."""
        for found in self._manager.registry.starting:
            if found.plugin.name in self._manager.roster and await self._step("ready", found):
                self._started.append(found)
        for found in list(self._started):
            if found.plugin.name in self._manager.roster:
                await self._step("startup", found)
        await self._run_group("startup")

    async def stop(self) -> PluginError | None:
        """Run the group `shutdown`, then `shutdown` of the plugins that have started, in reverse.

        Returns:
            The first error.
        """
        failures: list[PluginError] = []
        for run in (self._group_stopper(), *(self._stopper(found) for found in reversed(self._started))):
            try:
                await run()
            except PluginError as error:
                log.error(str(error))
                failures.append(error)
        self._runner.close()
        return failures[0] if failures else None

    async def skip(self, plugin: str, error: PluginError) -> None:
        """Skip a plugin, and stop it where it has started.

        Raises:
            PluginError: `error`, where the plugin may not be skipped.
        """
        gone = self._manager.skip(plugin, error)
        for other in gone:
            if other in self._started:
                self._started.remove(other)
                await self._stop_quietly(other)
            if self._app is not None:
                self._app.remove_contributions_of(other.plugin.name)
        await drop_components(self._manager, [driver for other in gone for driver in other.drivers])

    def _group_stopper(self) -> Callable[[], Any]:
        return lambda: self._run_group("shutdown")

    def _stopper(self, found: PluginObjects) -> Callable[[], Any]:
        return lambda: self._run("shutdown", found)

    async def _step(self, step: StepName, found: PluginObjects) -> bool:
        """Whether the plugin is still in."""
        try:
            with self._contributions_of(found.plugin.name):
                await self._run(step, found)
        except PluginError as error:
            await self.skip(found.plugin.name, error)
            return False
        return True

    async def _run(self, step: StepName, found: PluginObjects) -> None:
        function = found.lifecycle.functions.get(step)
        if function is not None and function not in self._uses:
            name = found.plugin.name
            limit = self._manager.roster.policy.limit(name, step.upper())  # type: ignore[arg-type]
            await self._runner.run(step, function, plugin=name, limit=limit)

    async def _run_group(self, step: StepName) -> None:
        limit = self._manager.roster.policy.limits[step.upper()]
        failures: list[PluginError] = []
        group = GROUPS[step].name
        for member in self._manager.groups.members(group):
            plugin = self._manager.plugin_of_module(member.home)
            if plugin is None and member not in self._manager.groups.members(group):  # skipped by an earlier one
                continue
            try:
                with self._contributions_of(plugin):
                    await self._runner.run(step, member.value, plugin=member.uri, limit=limit)
            except PluginError as error:
                if step == "shutdown":
                    failures.append(error)
                elif plugin is None:
                    raise
                else:
                    error.plugin = plugin
                    await self.skip(plugin, error)
        if failures:
            raise failures[0]

    def _contributions_of(self, plugin: str | None) -> AbstractContextManager[None]:
        return nullcontext() if self._app is None or plugin is None else self._app.contributed_by(plugin)

    async def _stop_quietly(self, found: PluginObjects) -> None:
        try:
            await self._run("shutdown", found)
        except PluginError as error:
            log.error(str(error))
