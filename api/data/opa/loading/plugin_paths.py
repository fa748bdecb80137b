"""The plugin paths of this process: where the default one is not there, the folder of the project takes its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opa.errors import PluginPathError
from opa.settings.foreign_files import foreign_file
from opa.settings.inherited import handed_settings

if TYPE_CHECKING:
    from opa.settings.load import Config

# The default of PLUGIN_PATHS, which is there in the image.
DEFAULT_PLUGIN_PATH = "/plugins"
LOCAL_PLUGIN_PATH = "plugins"


def plugin_paths(config: Config) -> list[str]:
    """The plugin paths, with `./plugins` in the place of the default one where only that is there, also as a link."""
    local = Path(LOCAL_PLUGIN_PATH)
    return _with_local(config) if local.is_dir() or local.is_symlink() else list(config.PLUGIN_PATHS)


def taken_plugin_paths(config: Config) -> list[Path]:
    """Plugin paths that the user has not named: they are taken because the current folder, or an `opa up`, has them."""
    taken = []
    if LOCAL_PLUGIN_PATH in plugin_paths(config) and LOCAL_PLUGIN_PATH not in config.PLUGIN_PATHS:
        taken.append(Path(LOCAL_PLUGIN_PATH))
    giver, handed = handed_settings()
    if giver in config.source("PLUGIN_PATHS").split(", "):
        # The other ones are inside of packages, or that of the image.
        own = [path for path in handed["PLUGIN_PATHS"] if Path(path).is_absolute() and path != DEFAULT_PLUGIN_PATH]
        taken += [Path(path) for path in own if config.PLUGIN_PATHS.count(path) == 1]
    return taken


def trusted_plugin_paths(config: Config) -> list[str]:
    """The plugin paths of this process.

    Raises:
        PluginPathError: that would make root run what another user has written.
    """
    paths = plugin_paths(config)  # first: what is made after this look is not used
    for folder in taken_plugin_paths(config):
        refuse_foreign(folder)
    return paths


def refuse_foreign(folder: Path, does: str = "run plugins", variable: str = "OPA_PLUGIN_PATHS") -> None:
    """See that no other user decides what is run from a folder that the user has not named.

    Args:
        folder: it.
        does: what root does with it, for people.
        variable: by which the user would name it.

    Raises:
        PluginPathError: root would run what another user has written, or may yet write.
    """
    foreign = foreign_file(folder)
    if foreign is not None:
        raise PluginPathError(
            f"root does not {does} {foreign.why} only because they are in the current folder",
            where=str(foreign.path),
            hint=f"Name the folder to use it, {variable}={folder.absolute()}, or {foreign.remedy}",
        )


def plugin_paths_to_watch(config: Config) -> list[str]:
    """The same, also for a `./plugins` that may still be made."""
    return _with_local(config)


def _with_local(config: Config) -> list[str]:
    instead = not Path(DEFAULT_PLUGIN_PATH).is_dir()
    return [LOCAL_PLUGIN_PATH if instead and path == DEFAULT_PLUGIN_PATH else path for path in config.PLUGIN_PATHS]
