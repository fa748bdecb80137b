"""In development: have what the plugins need, in the folder of packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.sources import from_here
from opa.errors import OpaError, PackagesError
from opa.loading.discover import PluginFile
from opa.loading.package_lock import INSTALL, lock_file
from opa.loading.packages_folder import packages_folder, use_packages_folder
from opa.loading.policy import Policy
from opa.logging.logger import log
from opa.packages.folder import lock_of
from opa.packages.here import resolve_here
from opa.packages.install import install_into_folder
from opa.packages.lock import read_lock, unlocked
from opa.packages.needs import Need, loaded_plugins, lowest_python, needs_of
from opa.packages.own import own_packages
from opa.packages.programs import find_installer
from opa.packages.resolve import resolve
from opa.packages.verify import Missing, missing

if TYPE_CHECKING:
    from opa.settings.load import Config


def is_lacking(config: Config) -> bool:
    """Whether something has to be installed before the plugins can be imported; nothing is imported or fetched."""
    if not config.INSTALL_PACKAGES:
        return False
    try:
        use_packages_folder(config)
        return bool(missing(_needs(config)[0]))
    except PackagesError:  # which says why nothing is installed
        return True
    except OpaError:  # the start says it
        return False


def provide(config: Config) -> None:
    """Install what is missing. Where all that miss something may be skipped, a failure is told in the log alone.

    Raises:
        PackagesError: it cannot be installed; the folder is as before then.
    """
    needs, plugins = _needs(config)
    use_packages_folder(config)
    absent = missing(needs)
    if not absent:
        return
    try:
        _provide(config, needs, plugins, absent)
    except PackagesError as error:
        policy = Policy.from_config(config)
        if not all(policy.skips(each.need.plugin) for each in absent):
            raise
        log.error(f"packages are not installed: {error}")


def _provide(config: Config, needs: Sequence[Need], plugins: Sequence[PluginFile], absent: Sequence[Missing]) -> None:
    folder = packages_folder(config)
    if folder is None:
        raise PackagesError(
            f"{absent[0]}, and PACKAGES_DIR names no folder for it",
            where=config.source("PACKAGES_DIR"),
            hint=f"Name one, or use {INSTALL}",
        )
    for name in dict.fromkeys(each.need.plugin for each in absent):
        texts = ", ".join(each.need.text for each in absent if each.need.plugin == name)
        log.info(f"packages of plugin '{name}': installing {texts}")
    pins = install_into_folder(_lock_for(needs, plugins, folder), folder)
    if pins:
        log.info(f"installed {', '.join(map(str, pins))} in {from_here(str(folder))}")
    use_packages_folder(config)
    left = missing(needs)
    if left:
        raise PackagesError(
            f"{left[0]}, which comes before what is in {from_here(str(folder))}",
            where=left[0].need.where,
            hint=f"Remove that version, or change the environment with opa deps && {INSTALL}",
        )


def _needs(config: Config) -> tuple[tuple[Need, ...], tuple[PluginFile, ...]]:
    """What the plugins need that are loaded, and these; what is wrong with the metadata of others the start says.

    Raises:
        PackagesError: what one needs that may not be skipped cannot be had.
    """
    policy = Policy.from_config(config)
    plugins = [plugin for plugin in loaded_plugins(config) if plugin.error is None]
    for plugin in list(plugins):
        try:
            needs_of([plugin])
        except PackagesError:
            if not policy.skips(plugin.name):
                raise
            plugins.remove(plugin)
    return needs_of(plugins), tuple(plugins)


def _lock_for(needs: Sequence[Need], plugins: Sequence[PluginFile], folder: Path) -> str:
    """The project's lock if it has everything; or else one with its versions, or those of the folder, where they fit.

    Raises:
        PackagesError: there are no versions that fit.
    """
    file = lock_file()
    text = read_lock(file) if file.exists() else ""
    if text and not unlocked(needs, text):
        return text
    own, python = own_packages(), lowest_python(plugins)
    installer = find_installer()
    if not installer.is_uv:
        return resolve_here(needs, own, installer, python=python)
    return resolve(needs, own, python=python, project=file.parent, previous=text or lock_of(folder))
