"""The plugin paths of this process: where the default one is not there, the folder of the project takes its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.settings.load import Config

# The default of PLUGIN_PATHS, which is there in the image.
DEFAULT_PLUGIN_PATH = "/plugins"
LOCAL_PLUGIN_PATH = "plugins"


def plugin_paths(config: Config) -> list[str]:
    """The plugin paths, with `./plugins` in the place of the default one where only that is there."""
    return _with_local(config) if Path(LOCAL_PLUGIN_PATH).is_dir() else list(config.PLUGIN_PATHS)


def plugin_paths_to_watch(config: Config) -> list[str]:
    """The same, also for a `./plugins` that may still be made."""
    return _with_local(config)


def _with_local(config: Config) -> list[str]:
    instead = not Path(DEFAULT_PLUGIN_PATH).is_dir()
    return [LOCAL_PLUGIN_PATH if instead and path == DEFAULT_PLUGIN_PATH else path for path in config.PLUGIN_PATHS]
