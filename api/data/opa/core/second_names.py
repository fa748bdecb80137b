"""No module of a plugin path is imported under a second name, as `plugins.shop` beside `shop`."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from opa.core.errors import OpaError

HINT = "Plugins import from one another by their own name"


class SecondNameError(OpaError, ModuleNotFoundError):
    """A plugin was imported by the folder that it lies in. It would be there twice, with all its tasks and classes."""


class SecondNames:
    """Refuses what plugins import from packages that are plugin paths themselves.

    `PYTHONPATH=.`, editors and an `__init__.py` among the plugins make a package of the folder `plugins`. Python asks
    this finder before its own ones. Tests and other programs around the plugins may do as they like.

    Args:
        folders: the plugin paths.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = {os.path.realpath(folder) for folder in folders}
        self._seen: dict[str, bool] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise where `name` lies in a plugin path, which another package has as its own; else find nothing."""
        package, _, own_name = name.rpartition(".")
        if package and path and any(self._is_plugin_path(entry) for entry in path):
            file, line = _importer()
            if any(os.path.realpath(file).startswith(f"{folder}/") for folder in self._folders):
                raise SecondNameError(
                    f"'{name}' is '{own_name}' under a second name, by which it would be there twice",
                    where=f"{file}:{line}",
                    hint=f"{HINT}: write {own_name}, and not {name}",
                )
        return None

    def _is_plugin_path(self, entry: str) -> bool:
        if entry not in self._seen:
            self._seen[entry] = os.path.realpath(entry) in self._folders
        return self._seen[entry]


def refuse_second_names(folders: Iterable[Path]) -> None:
    """Let no module of `folders` be imported under a second name from now on."""
    others = [finder for finder in sys.meta_path if not isinstance(finder, SecondNames)]
    sys.meta_path[:] = [SecondNames(folders), *others]


def own_import(error: ModuleNotFoundError) -> str | None:
    """What to write where a plugin imports another one by its folder, which is no package here."""
    line = (traceback.extract_tb(error.__traceback__)[-1].line or "").split("#")[0].strip()
    for folder in [Path(entry) for entry in sys.path]:
        if (error.name or "").partition(".")[0] in folder.parts[-3:]:
            path = rf"\b(\w+\.)*{re.escape(folder.name)}"
            own = re.sub(rf"^from {path} import ", "import ", line)
            own = re.sub(rf"{path}\.", "", own)
            if own != line:
                return f"{HINT}: write '{own}'"
    return None


def _importer() -> tuple[str, int]:
    """File and line of the statement that imports."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
