"""The settings of a command that is given beside an `opa up` in the same folder: its servers are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.printable import in_one_line

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.local.running import Running
    from opa.settings.load import Config

# ENV=dev logs each plugin that is loaded, of which the other terminal is full.
QUIET = {"LOGLEVEL": "info"}


def load_beside_up(*, quiet: bool = False) -> Config:
    """The settings. Where an `opa up` runs in this folder they have its servers and its env, and one line says so.

    What the user has set, also `ENV`, wins.

    Args:
        quiet: whether an env that is that of `opa up` leaves the log at level info.

    Raises:
        SettingsError: settings are wrong.
    """
    from opa.local.running import find_running
    from opa.settings.envs import ENV_VARIABLE
    from opa.settings.inherited import HANDED_VARIABLE, handing_variable
    from opa.settings.load import load_settings

    # Of a shell that this command was given in.
    os.environ.pop(HANDED_VARIABLE, None)
    running = find_running(Path())
    if running is None:
        return load_settings()
    takes_env = bool(running.env) and ENV_VARIABLE not in os.environ
    os.environ.setdefault(ENV_VARIABLE, running.env)
    settings = dict(running.settings)
    if os.environ[ENV_VARIABLE] != running.env:
        # They are those of its env, with the demo plugins of `dev`.
        settings.pop("PLUGIN_PATHS", None)
    os.environ |= handing_variable(running.source, settings)
    config = load_settings(QUIET if takes_env and quiet else None, base_name="this command")
    env = f", {ENV_VARIABLE}={running.env}" if takes_env else ""
    print(in_one_line(f"beside {running.source}{env}: {_uses(config, running)}"), file=sys.stderr)
    return config


def manager_beside_up(mode: str = "") -> PluginManager:
    """The plugins, with these settings, for a command that says little, and soon when a server does not answer.

    Args:
        mode: what `PluginManager.mode` says.

    Raises:
        OpaError: settings are wrong, or a plugin is broken.
    """
    from opa.bootstrap import prepare

    manager = prepare(load_beside_up(quiet=True), mode=mode)
    manager.connect_limit = min(manager.connect_limit, manager.config.COMMAND_CONNECT_TIMEOUT)
    return manager


def _uses(config: Config, running: Running) -> str:
    """Which servers are used, and by which components."""
    from opa.local.environment import TARGETS, is_loaded, names_of_components

    used = tuple(
        target
        for target in TARGETS
        if target.setting in config and is_loaded(config, target) and config.source(target.setting) == running.source
    )
    servers = dict.fromkeys(target.server for target in used)
    if not servers:
        return "none of its servers is used, other addresses are set"
    return "; ".join(f"its {server} for {names_of_components(used, server)}" for server in servers)
