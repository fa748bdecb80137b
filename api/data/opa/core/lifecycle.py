"""`ready`, `startup` and `shutdown` of the plugins."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from opa._util.objects import attribute, is_a
from opa._util.sources import where_is_function
from opa._util.words import kind_of
from opa.core.arguments import arguments_for
from opa.core.held import Kept, is_held, wrapped_by
from opa.core.hooks import is_async_function
from opa.core.raised import came_late, problem_of
from opa.core.start_waits import note_step
from opa.core.threads import SerialThread
from opa.errors import LifecycleError, SetupError
from opa.loading import conventions
from opa.loading.conventions import Convention
from opa.loading.repeats import hint_for, note_done
from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.loading.importing import ImportedPlugin

StepName = Literal["ready", "startup", "shutdown"]
STEPS: Mapping[StepName, Convention] = {
    "ready": conventions.READY,
    "startup": conventions.STARTUP,
    "shutdown": conventions.SHUTDOWN,
}
GROUPS: Mapping[StepName, Convention] = {
    "startup": conventions.STARTUP_GROUP,
    "shutdown": conventions.SHUTDOWN_GROUP,
}
PLACES = (conventions.APPS.module, conventions.LIFECYCLE.module)
_NOTHING = object()


class Lifecycle(NamedTuple):
    """What one plugin has under the names of the steps.

    Attributes:
        functions: those that run when a process starts and stops.
        imported: those that do not, since the plugin has them from elsewhere.
        held: those that do not, since something holds them, and calls them when it wants to.
    """

    functions: Mapping[StepName, Callable[..., Any]] = {}
    imported: Mapping[StepName, Callable[..., Any]] = {}
    held: Mapping[StepName, Callable[..., Any]] = {}


def lifecycle_of(plugin: ImportedPlugin, used: Container[object] = ()) -> Lifecycle:
    """What the plugin has: at the top of its module or package, or else in its `apps.py` or `lifecycle.py`.

    Args:
        plugin: it has been imported.
        used: what is something else already, and has its name from that.

    Raises:
        LifecycleError: one of the names is something that cannot be called, or a function that yields.
    """
    functions, imported, held = Kept(), Kept(), Kept()
    modules = [plugin.module, *(plugin.parts[place] for place in PLACES if place in plugin.parts)]
    for step, convention in STEPS.items():
        for module in modules:
            function = vars(module).get(convention.name, _NOTHING)
            if function is _NOTHING or is_a(function, ModuleType) or function in used:
                continue
            if any(inner in used for inner in wrapped_by(function, step)):
                continue
            if not callable(function):
                raise LifecycleError(
                    f"'{step}' of plugin '{plugin.name}' is {kind_of(function)} and cannot be called",
                    plugin=plugin.name,
                    where=str(module.__file__),
                    hint=f"Make it a function, or give it another name than {step}",
                )
            if _is_imported(function, plugin):
                imported.setdefault(step, function)
                continue
            if _is_context_manager(function):
                continue
            if is_held(vars(module), step):
                held.setdefault(step, function)
                continue
            _refuse_yield(step, function, plugin)
            functions[step] = function
            break
    for others in (imported, held):
        for name in functions:
            others.pop(name, None)
    return Lifecycle(functions, imported, held)


def _is_context_manager(function: Callable[..., Any]) -> bool:
    """Whether contextlib has made it: it is for `async with`, such as the lifespan of an application."""
    return getattr(getattr(function, "__code__", None), "co_filename", None) == contextlib.__file__


def _refuse_yield(step: StepName, function: Callable[..., Any], plugin: ImportedPlugin) -> None:
    written = inspect.unwrap(function)
    if inspect.isgeneratorfunction(written) or inspect.isasyncgenfunction(written):
        raise LifecycleError(
            f"{step}() of plugin '{plugin.name}' has a yield, and nothing would run its body",
            plugin=plugin.name,
            where=where_is_function(written),
            hint="What comes before the yield belongs in ready() or startup(), what comes after it in shutdown(); or"
            " make it the lifespan of the router",
        )


def _is_imported(function: Callable[..., Any], plugin: ImportedPlugin) -> bool:
    """Whether it stands at the top of a module that is not inside the plugin."""
    home = attribute(function, "__module__") or ""
    if f"{home}.".startswith(f"{plugin.file.module}."):
        return False
    # A decorator may have made it, which is another module's.
    return vars(sys.modules.get(home, object)).get(attribute(function, "__name__", "")) is function


class LifecycleRunner:
    """Runs the functions of plugins, each within its time limit.

    Synchronous ones run one after another in a thread, so that they do not hold the event loop and one that hangs can
    be given up.

    Args:
        injectables: what a function gets where it names it: `app`, `pm`, `config`, and so on.
    """

    def __init__(self, injectables: Mapping[str, Any]) -> None:
        self._injectables = injectables
        self._thread = SerialThread("lifecycle")

    async def run(self, step: StepName, function: Callable[..., Any], *, plugin: str, limit: float) -> None:
        """Run `function` as the step of `plugin`.

        Args:
            step: its name, for messages.
            function: of the plugin.
            plugin: the name of the plugin.
            limit: seconds; a third of it gives a warning.

        Raises:
            LifecycleError: it raised, took longer, or asks for something unknown; the cause is chained.
        """
        what = f"{step}() of plugin '{plugin}'"
        where = where_is_function(function)
        once = f"{what} {where}"
        if step != "shutdown":
            note_step(f"{what} ({where})")
        loop = asyncio.get_running_loop()
        timeout = None
        warning = loop.call_later(limit / 3, _warn, what, time.monotonic(), limit)
        try:
            async with asyncio.timeout(limit) as timeout, arguments_for(function, self._injectables, what) as arguments:
                await self._call(function, arguments)
            note_done(once)
        except (Exception, SystemExit) as error:
            if isinstance(error, SetupError):  # it asks for something unknown, and says so itself
                error.plugin, error.where = plugin, where
                raise
            late = came_late(error, timeout)
            raise LifecycleError(
                f"{what} ({where}) {problem_of(error, timeout, limit)}",
                plugin=plugin,
                hint=f"Fix it, or raise PLUGIN_{step.upper()}_TIMEOUT" if late else hint_for(once, "Fix it"),
            ) from error
        finally:
            warning.cancel()

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()

    async def _call(self, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        if is_async_function(function):
            await function(**arguments)
            return
        result = await self._thread.run(lambda: function(**arguments))
        if inspect.isawaitable(result):
            await _awaited(result)


async def _awaited(result: Awaitable[Any]) -> None:
    await result


def _warn(what: str, since: float, limit: float) -> None:
    log.warning(f"{what} has taken {time.monotonic() - since:.1f} s so far; its limit is {limit:g} s")
