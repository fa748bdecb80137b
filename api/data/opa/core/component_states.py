"""The configured components and what is known of each."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from opa._util.masking.secrets import mask_text
from opa._util.sources import where_is
from opa.core.component_options import options_of
from opa.core.drivers import Driver
from opa.core.register import Registry
from opa.errors import OpaError, RegistrationError
from opa.loading.installed import NamedPlugin
from opa.loading.roster import Roster

if TYPE_CHECKING:
    from opa.settings.load import Config

NOT_CONNECTED_YET = "not connected yet"
CONNECTED = "connected"
NOT_LOADED = "not loaded"
FAILED = "failed"
DISCONNECTED = "disconnected"


class ComponentState(NamedTuple):
    """What is known of a configured component.

    Attributes:
        name: in lower case.
        driver: its driver instance; None where `LOAD` is no.
        driver_name: as the settings name it.
        load: `auto`, `yes` or `no`.
        status: `not connected yet`, `connected`, `not loaded`, `failed` or `disconnected`.
        reason: why, where it is not connected; never with a password.
        is_prepared: whether its driver has done what needs no network.
    """

    name: str
    driver: Driver | None
    driver_name: str
    load: str
    status: str = NOT_CONNECTED_YET
    reason: str = "components connect when the process starts, after the plugins are imported"
    is_prepared: bool = False

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status


class BorrowedComponent:
    """A component that blocks of code have connected for themselves.

    Attributes:
        users: how many blocks have it, or wait for it.
        changing: held while it is connected or disconnected.
        is_connected: whether a block has connected it; where the process has, it stays connected.
    """

    def __init__(self) -> None:
        self.users = 0
        self.changing = asyncio.Lock()
        self.is_connected = False


def configured_components(config: Config, registry: Registry, roster: Roster) -> dict[str, ComponentState]:
    """The components of the settings, by name in lower case, before anything is connected.

    Raises:
        RegistrationError: a component that may be loaded names a driver that no plugin has, or one that cannot be made.
    """
    states = {}
    for key, options in config.OPTIONAL_COMPONENTS.items():
        name = key.lower()
        driver = None if options["LOAD"] == "no" else _driver(key, options, config, registry, roster)
        state = ComponentState(name, driver, options["DRIVER"], options["LOAD"])
        if driver is None and options["LOAD"] != "no":
            state = state._replace(status=NOT_LOADED, reason=_driver_skipped(config, roster, options["DRIVER"]))
        states[name] = state
    return states


def _driver_skipped(config: Config, roster: Roster, driver: str) -> str:
    plugins = ", ".join(f"'{name}'" for name in roster.skipped or _missing(config, roster))
    return f"no plugin that is in has its driver '{driver}'; {'skipped' if roster.skipped else 'not there'}: {plugins}"


def _missing(config: Config, roster: Roster) -> list[str]:
    """The installed plugins that may be missing, and are not there."""
    entries = map(NamedPlugin.from_entry, config.INSTALLED_PLUGINS)
    there = {plugin.module for plugin in roster.plugins}
    return [entry.module for entry in entries if entry.optional and entry.module not in there]


def _driver(key: str, options: Mapping[str, Any], config: Config, registry: Registry, roster: Roster) -> Driver | None:
    driver = registry.drivers.get(options["DRIVER"].lower())
    if driver is None and (roster.skipped or (options["LOAD"] == "auto" and _missing(config, roster))):
        return None
    if driver is None:
        raise RegistrationError(
            f"component '{key.lower()}' asks for the driver '{options['DRIVER']}', which no plugin that is loaded has",
            where=config.source(f"OPTIONAL_COMPONENTS.{key}.DRIVER"),
            hint=f"Drivers: {', '.join(sorted(registry.drivers)) or 'none'}. Fix the name, or set LOAD to 'no'",
        )
    component = _made(driver, {**options, "OPTS": options_of(config, key, driver)}, registry)
    component.component = key.lower()
    return component


def _made(driver: type[Driver], options: Mapping[str, Any], registry: Registry) -> Driver:
    try:
        return driver(opts=options["OPTS"], load=options["LOAD"])
    except OpaError:
        raise
    except (Exception, SystemExit) as error:
        plugin = registry.plugin_of[driver]
        raise RegistrationError(
            f"driver '{driver.name}' of plugin '{plugin}' cannot be made: {reason_of(error)}",
            plugin=plugin,
            where=where_is(driver),
            hint="Fix its __init__, which gets the arguments opts and load",
        ) from error


def forget_components(states: dict[str, ComponentState], drivers: Collection[type[Driver]], reason: str) -> None:
    """Note that the components of `drivers`, whose plugin is skipped, are not to be connected."""
    for name, state in states.items():
        if type(state.driver) in drivers:
            states[name] = state._replace(driver=None, status=NOT_LOADED, reason=reason)


def reason_of(error: BaseException) -> str:
    """What went wrong with a component, in words without a password."""
    text = mask_text(str(error)) or "no answer"
    return text if type(error) is ConnectionError else f"{type(error).__name__}: {text}"
