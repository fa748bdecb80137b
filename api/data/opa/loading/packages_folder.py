"""The folder with packages for plugins, `PACKAGES_DIR`: plugins import from it what the environment does not have."""

from __future__ import annotations

import importlib
import json
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.reading import UnreadableError, read_text
from opa.loading.plugin_paths import refuse_foreign
from opa.logging.logger import log
from opa.settings.sources import DEFAULTS_FILE

if TYPE_CHECKING:
    from opa.settings.load import Config

MARK = ".opa-packages"
"""The file in a folder that `opa deps` has made, which says from what and for which Python."""
INCOMPLETE = ".opa-incomplete"
"""The file that is there while the folder is changed, where it cannot be exchanged as a whole."""


class PackagesFolder(str):
    """An entry of `sys.path` that is here because it is `PACKAGES_DIR`."""

    __slots__ = ()


def packages_folder(config: Config) -> Path | None:
    """The folder; it need not exist. None where the settings name none."""
    return Path(config.PACKAGES_DIR).expanduser().absolute() if config.PACKAGES_DIR else None


def use_packages_folder(config: Config) -> None:
    """Have packages imported from the folder that no other folder has; so none stands in for one of opa-stack.

    Raises:
        PluginPathError: that would make root run what another user has written.
    """
    sys.path[:] = [entry for entry in sys.path if not isinstance(entry, PackagesFolder)]
    folder = packages_folder(config)
    if folder is None or not folder.is_dir() or str(folder) in sys.path:
        return
    if config.source("PACKAGES_DIR").startswith(DEFAULTS_FILE.name):
        refuse_foreign(folder, "use packages", "OPA_PACKAGES_DIR")
    if (folder / INCOMPLETE).exists():
        log.warning(
            f"the packages in {folder} are not used: their installation did not end. Run opa deps install again"
        )
        return
    if (other := _made_elsewhere(folder)) is not None:
        log.warning(f"the packages in {folder} were installed for {other}, and this is {platform()}")
    sys.path.append(PackagesFolder(folder))
    importlib.invalidate_caches()


def platform() -> str:
    """The Python and the platform that packages are installed for."""
    return f"Python {sysconfig.get_python_version()} on {sysconfig.get_platform()}"


def _made_elsewhere(folder: Path) -> str | None:
    try:
        made_for = str(json.loads(read_text(folder / MARK))["for"])
    except (UnreadableError, ValueError, KeyError, TypeError):
        return None
    return None if made_for == platform() else made_for
