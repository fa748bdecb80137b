"""What drivers do without a network before the process forks, or when the hosts of their components are found."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from opa._util.hosts import hosts_in_url, is_address
from opa._util.sources import where_is
from opa.core.component_options import is_default
from opa.core.component_states import ComponentState, reason_of
from opa.core.drivers import Driver
from opa.errors import ComponentError, OpaError, RegistrationError
from opa.loading.discover import BUILT_IN_PACKAGE
from opa.loading.import_errors import deepest_line_in

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.load import Config


def prepare_components(manager: PluginManager) -> None:
    """Let each driver do what it can without a network; those that need not yet, when the host is found.

    Raises:
        ComponentError: a driver cannot use its options.
    """
    for name in manager.component_states:
        if not _waits_for_host(manager, name):
            prepare_component(manager, name)


def prepare_component(manager: PluginManager, name: str) -> None:
    """Let the driver of a component do what it can without a network, unless it has.

    Raises:
        ComponentError: it cannot use its options.
    """
    state = manager.component_states[name]
    if state.driver is None or state.is_prepared:  # that of another one may have been skipped meanwhile
        return
    manager.component_states[name] = state._replace(is_prepared=True)
    try:
        state.driver.prepare()
    except OpaError:
        raise
    except Exception as error:
        if not _is_skipped(manager, state.driver, error):
            raise _unprepared(state, error) from error


def _waits_for_host(manager: PluginManager, name: str) -> bool:
    """Whether a component is used only if there is a host of its name, since the settings do not mention it."""
    state = manager.component_states[name]
    if state.driver is None or state.load != "auto" or not is_default(manager.config, name):
        return False
    return hosts_to_look_up(state.driver) != [] and state.driver.waits_for_host


def hosts_to_look_up(driver: Driver) -> list[str]:
    """Those that a component is connected to if one of them is found; none where an address stands for one."""
    services = driver.hosts()
    names = [host for alternatives in services for host in alternatives]
    return [] if any(any(map(is_address, alternatives)) for alternatives in services) else names


def unset_hosts(config: Config) -> list[str]:
    """The hosts of the components of `default-settings.yaml` that the user's settings do not mention."""
    unset = [
        options["OPTS"]
        for name, options in config.OPTIONAL_COMPONENTS.items()
        if options["LOAD"] == "auto" and is_default(config, name)
    ]
    urls = [value for options in unset for key, value in options.items() if key.upper().endswith("URL")]
    return [host for url in urls for host in hosts_in_url(url) if not is_address(host)]


def prepare_found(manager: PluginManager, found: Container[str] | None) -> None:
    """Prepare the components that wait for their hosts, where each of their services has one.

    Args:
        manager: the plugins.
        found: the hosts that there are; None where that is not known, and any may be there.

    Raises:
        ComponentError: a driver cannot use its options.
    """
    for name in components_that_wait(manager):
        driver = manager.component_states[name].driver
        services = [] if driver is None else driver.hosts()
        if found is None or all(any(host in found for host in alternatives) for alternatives in services):
            prepare_component(manager, name)


def components_that_wait(manager: PluginManager) -> list[str]:
    """The names of those that are prepared when their hosts are found."""
    states = manager.component_states.values()
    return [state.name for state in states if state.driver is not None and not state.is_prepared]


def _is_skipped(manager: PluginManager, driver: Driver, error: Exception) -> bool:
    """Whether the plugin of a driver is skipped, whose own code has failed: its options are none of its mistakes."""
    plugin = manager.registry.plugin_of[type(driver)]
    is_built_in = type(driver).__module__.startswith(f"{BUILT_IN_PACKAGE}.")
    if is_built_in or isinstance(error, ValueError | KeyError) or not manager.roster.policy.skips(plugin):
        return False
    problem = f"driver '{driver.name}' of plugin '{plugin}' cannot be prepared: {reason_of(error)}"
    where = deepest_line_in(manager.folders, error) or where_is(type(driver))
    failure = RegistrationError(problem, plugin=plugin, where=where, hint="Fix its prepare()")
    failure.__cause__ = error
    manager.skip(plugin, failure)
    return True


def _unprepared(state: ComponentState, error: Exception) -> ComponentError:
    return ComponentError(
        f"component '{state.name}' (driver {state.driver_name}) cannot be prepared: {reason_of(error)}",
        component=state.name,
        where=f"setting OPTIONAL_COMPONENTS.{state.name.upper()}",
        hint="Fix its OPTS; with LOAD 'no' it is skipped",
    )
