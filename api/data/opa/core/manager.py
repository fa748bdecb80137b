"""The plugin manager: what one application has loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from opa.core.blame import failed_components
from opa.core.breaker import refused_component
from opa.core.component_states import BorrowedComponent, ComponentState, configured_components, forget_components
from opa.core.drivers import Driver
from opa.core.hooks import Hook, HookDefinition, is_async_hook
from opa.core.lazy_errors import errors_now
from opa.core.register import PluginObjects, Registry, register_plugins
from opa.core.running import running_manager
from opa.core.uses import Uses, used_in_plugins
from opa.errors import ComponentUnavailableError, HookCallError, PluginError, RegistrationError

if TYPE_CHECKING:
    from pathlib import Path

    from opa.core.groups import Groups
    from opa.core.plugin_settings import PluginSettingsStore
    from opa.core.plugin_tasks import PluginTasks
    from opa.loading.candidates import Refused
    from opa.loading.conventions import Convention
    from opa.loading.filters import Decision
    from opa.loading.importing import ImportedPlugin
    from opa.loading.roster import Roster
    from opa.settings.load import Config


class Loaded(NamedTuple):
    """What the steps up to the import of the plugins have made."""

    config: Config
    mode: str
    folders: tuple[Path, ...]
    decisions: tuple[Decision, ...]
    refused: tuple[Refused, ...]
    roster: Roster
    plugins: tuple[ImportedPlugin, ...]
    tasks: PluginTasks
    groups: Groups
    plugin_settings: PluginSettingsStore


class ConventionRoute(NamedTuple):
    """A route that a convention has made of what a plugin has.

    Attributes:
        plugin: its name.
        convention: what was found in it.
        endpoint: that of the route, which nothing else has.
    """

    plugin: str
    convention: str
    endpoint: object


class PluginManager:
    """What one application has loaded.

    Attributes:
        config: its settings.
        connect_limit: seconds that connecting to a component may take, all tries together.
        mode: what this process runs: `api`, `worker`, `beat`, `flower`, `shell`, or `command` for one of a plugin;
            empty in commands that only look at the plugins, and in programs that prepare them by themselves.
        folders: the plugin paths, the built-in one last.
        decisions: every plugin that was found, and whether the filters let it through.
        refused: what looks like a plugin, and cannot be loaded.
        roster: the plugins that are in, and those that were skipped because they are broken.
        registry: what the loaded plugins define.
        hook_definitions: by name.
        hooks: the hook that is called, by name.
        sync_hooks: the bound `run` of those that are synchronous, by name: a call is a look-up and a call.
        async_hooks: the same for those that are asynchronous.
        drivers: driver classes, by name in lower case.
        component_states: every configured component, by name in lower case.
        optional_components: the drivers of the components that are connected, by name in lower case.
        borrowed: the components that blocks have connected for themselves, by name in lower case.
        tasks: of the plugins.
        groups: what the settings name by URI and plugins register.
        plugin_settings: the settings of the plugins' own.
        status: what setups made, by `module.Class`, under the key `init`.
        endpoints: those of the routes that conventions have made, by their ids.
        kept: what modules above this room have one of for each application, by their names.
        store: `task_candidates`, the names of the packages that have a `tasks.py`.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.config = loaded.config
        self.mode = loaded.mode
        self.connect_limit: float = loaded.config.COMPONENT_CONNECT_TIMEOUT
        self.folders = loaded.folders
        self.decisions = loaded.decisions
        self.refused = loaded.refused
        self.roster = loaded.roster
        self.tasks = loaded.tasks
        self.groups = loaded.groups
        self.plugin_settings = loaded.plugin_settings
        self._plugins = loaded.plugins
        self.optional_components: dict[str, Driver] = {}
        self.borrowed: dict[str, BorrowedComponent] = {}
        self.status: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self.hooks: Mapping[str, Hook] = {}
        self.sync_hooks: dict[str, Callable[..., Any]] = {}
        self.async_hooks: dict[str, Callable[..., Awaitable[Any]]] = {}
        self._uses = Uses(lambda: used_in_plugins(loaded.plugins, loaded.tasks, loaded.groups))
        self._made: dict[type[Hook], Hook] = {}
        self._adopt(self._register())
        self.component_states: dict[str, ComponentState] = {}
        self._configure_components()
        self.kept: dict[str, Any] = {}
        self.endpoints: dict[int, ConventionRoute] = {}
        self.store: dict[str, Any] = {
            "task_candidates": [found.plugin.name for found in self.registry.objects if found.plugin.file.has_tasks]
        }
        self._discard_what_is_not_registered()

    def _register(self) -> Registry:
        return register_plugins(self._plugins, self.roster, self._uses, self._made)

    def _configure_components(self) -> None:
        while True:
            try:
                states = configured_components(self.config, self.registry, self.roster)
            except PluginError as error:
                if error.plugin is None:
                    raise
                self.skip(error.plugin, error)
            else:
                break
        for state in states.values():
            if state.driver is not None:
                state.driver.pm = self
        self.component_states = states

    def _adopt(self, registry: Registry) -> None:
        self.registry = registry
        self.hook_definitions: Mapping[str, type[HookDefinition]] = registry.hook_definitions
        self.drivers: Mapping[str, type[Driver]] = registry.drivers
        self.hooks = registry.hooks
        for name, hook in self.hooks.items():
            (self.async_hooks if is_async_hook(hook.run) else self.sync_hooks)[name] = hook.run
        for bound in (self.sync_hooks, self.async_hooks):
            for name in bound.keys() - self.hooks.keys():
                del bound[name]

    @property
    def celery(self) -> Any:
        """The Celery application that the tasks of the plugins belong to."""
        return self.tasks.application()

    def skip(self, plugin: str, error: PluginError) -> tuple[PluginObjects, ...]:
        """Skip a plugin that failed after it was registered, and those that require it or its hooks.

        Returns:
            What those plugins had defined. Hooks, tasks, members of groups and components that are not connected yet
            are gone already.

        Raises:
            PluginError: `error`, where the plugin may not be skipped.
        """
        before = self.registry.objects
        self.roster.skip(plugin, error)
        self._adopt(self._register())
        self._discard_what_is_not_registered()
        gone = tuple(found for found in before if found.plugin.name not in self.roster)
        drivers = [driver for found in gone for driver in found.drivers]
        forget_components(self.component_states, drivers, f"the plugin of its driver is skipped: {error.problem}")
        return gone

    def found(self, convention: Convention) -> dict[str, Any]:
        """What the loaded plugins have under a convention that a plugin declares, by the name of the plugin.

        The module for `admin.py`, the path for the folder `static/` (a `Traversable` for a plugin in an archive), and
        the value for a name; in load order.

        Raises:
            RegistrationError: no loaded plugin declares it.
        """
        if convention not in self.registry.conventions:
            raise RegistrationError(
                f"no loaded plugin declares the convention '{convention.name}'",
                hint=f'Write it at the top of a plugin: NAME = Convention("{convention.name}", "…")',
            )
        found = {each.plugin.name: each.plugin.found(convention) for each in self.registry.objects}
        return {plugin: value for plugin, value in found.items() if value is not None}

    def convention_route(self, endpoint: object) -> ConventionRoute | None:
        """The route that a convention has made with this endpoint; None where it is another's."""
        return self.endpoints.get(id(endpoint)) if self.endpoints else None

    def plugin_of_module(self, module: str) -> str | None:
        """The name of the plugin that `module` is, or is inside of."""
        names = {found.plugin.file.module: found.plugin.name for found in self.registry.objects}
        while module and module not in names:
            module = module.rpartition(".")[0]
        return names.get(module)

    def _discard_what_is_not_registered(self) -> None:
        for decision in self.decisions:
            if decision.plugin.name in self.roster.skipped:
                self.tasks.discard(decision.plugin.module)
                self.groups.discard(decision.plugin.module)

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the hook `name` and return what it returns.

        Raises:
            HookCallError: no plugin defines or fills the hook, or it is asynchronous.
        """
        return self.hook(name)(*args, **kwargs)

    async def call_async(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Await the asynchronous hook `name` and return what it returns.

        Raises:
            HookCallError: no plugin defines or fills the hook, or it is not asynchronous.
        """
        return await self.hook(name, is_async=True)(*args, **kwargs)

    def hook(self, name: str, *, is_async: bool = False) -> Callable[..., Any]:
        """`run` of the hook `name`.

        Raises:
            HookCallError: no plugin defines or fills the hook, or it is of the other kind.
        """
        try:
            return (self.async_hooks if is_async else self.sync_hooks)[name]
        except KeyError:
            raise self._call_error(name) from None

    def _call_error(self, name: str) -> HookCallError:
        if name in self.async_hooks:
            return HookCallError(
                f"hook '{name}' is asynchronous", hint=f"Call it with: await call_hook_async({name!r}, …)"
            )
        if name in self.sync_hooks:
            return HookCallError(f"hook '{name}' is not asynchronous", hint=f"Call it with: call_hook({name!r}, …)")
        if name in self.hook_definitions:
            return HookCallError(
                f"hook '{name}' is called, and no plugin that is loaded fills it",
                hint="Add a Hook for it; one with order = -1 beside the definition serves as the default",
            )
        known = ", ".join(sorted(self.hook_definitions)) or "none"
        return HookCallError(f"no hook '{name}' is defined", hint=f"Fix the name; hooks that are defined: {known}")

    def connection_errors(self) -> list[type[Exception]]:
        """The errors that say that a server is gone: those of the drivers whose clients are imported by now."""
        drivers = sorted(self.drivers.items())
        return [error for _, driver in drivers for error in errors_now(driver, "connection_errors")]

    def failed_components(self, error: Exception) -> list[str]:
        """The names of the connected components that `error` may come from: one, where that can be told."""
        return failed_components(error, self.optional_components.values())

    def report_failure(self, error: Exception) -> tuple[list[str], bool]:
        """Let the components that `error` may come from be asked whether they answer, and be refused until they do.

        Returns:
            Their names, and whether that they do not answer is known already, and in the log.
        """
        names = self.failed_components(error)
        if refused_component(error) is not None:
            return names, True
        breakers = [breaker for name in names for breaker in self.optional_components[name].breakers()]
        for breaker in breakers:
            breaker.failed(error)
        return names, any(breaker.is_open for breaker in breakers)

    def get_component(self, name: str) -> Driver:
        """The driver instance of the component `name`; case does not matter.

        Raises:
            ComponentUnavailableError: it is not configured, not loaded or not connected; the message says why.
        """
        key = name.lower()
        component = self.optional_components.get(key)
        if component is not None:
            return component
        state = self.component_states.get(key)
        if state is None:
            known = ", ".join(self.component_states) or "none"
            raise ComponentUnavailableError(
                f"component '{key}' is not configured; components in OPTIONAL_COMPONENTS: {known}",
                component=key,
            )
        raise ComponentUnavailableError(f"component '{key}' is {state}", component=key)


def get_plugin_manager() -> PluginManager:
    """The plugin manager of the application that this code runs for.

    Raises:
        NotRunningError: no application was prepared in this process.
    """
    return running_manager()  # type: ignore[return-value]  # nothing else is made running
