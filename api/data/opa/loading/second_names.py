"""A module of a plugin is there once, by whatever name it is imported: `plugins.shop` is the module `shop`."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from opa.errors import OpaError
from opa.loading.discover import PluginFile
from opa.loading.import_errors import BY_OWN_NAME


class SecondNameError(OpaError, ModuleNotFoundError):
    """A plugin imports another one by the folder that it lies in, which is a package in some programs only."""


class SecondName(NamedTuple):
    """A module of a plugin that was imported by another name than its own.

    Attributes:
        name: the other one.
        own_name: of the module that is there.
        file: of the statement that imports it.
        line: of that.
    """

    name: str
    own_name: str
    file: str
    line: int


class SecondNames:
    """Gives the module that is there to anyone who imports one of a plugin by another name than its own.

    `PYTHONPATH=.`, editors, links and an `__init__.py` among the plugins make packages of folders that are plugin
    paths. As a module of its own a plugin would be there twice, with its state, its classes and its schedules. What
    plugins import from one another by the folder is refused: it would work in some programs only. Python asks this
    finder before its own ones.

    Args:
        folders: the plugin paths.
        plugins: those that are loaded; some are links, or are installed elsewhere.

    Attributes:
        found: what was imported so, by the other name.
    """

    def __init__(self, folders: Iterable[Path], plugins: Iterable[PluginFile]) -> None:
        self.found: dict[str, SecondName] = {}
        self._folders = {os.path.realpath(folder) for folder in folders}
        self._modules: set[str] = set()
        self._packages = dict.fromkeys(self._folders, "")
        self._files: dict[str, str] = {}
        self._around_links: set[str] = set()
        self._links: set[str] = set()
        self._seen: dict[str, tuple[str | None, bool]] = {}
        self._suspected: dict[tuple[str, ...], bool] = {}
        for plugin in plugins:
            self._add(plugin)

    def _add(self, plugin: PluginFile) -> None:
        self._modules.add(plugin.module)
        place = plugin.place
        is_elsewhere = "." in plugin.module if plugin.folder is None else place.is_symlink()
        if is_elsewhere or plugin.links:  # the path does not tell its name
            real = os.path.realpath(place)
            (self._packages if plugin.is_package else self._files)[real] = plugin.module
            self._around_links.add(os.path.split(real)[0])
            self._around_links.update(os.path.realpath(link.parent) for link in plugin.links)
            self._links.update(link.name.partition(".")[0] for link in plugin.links)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What gives the module of a plugin where `name` is another name for it; else nothing.

        Raises:
            SecondNameError: a plugin imports another one by its folder.
        """
        parent = name.rpartition(".")[0]
        where = (parent, *(sys.path if path is None else path))
        if where not in self._suspected:
            self._suspected[where] = any(self._may_have_plugins(entry, parent) for entry in where[1:])
        if not self._suspected[where]:
            return None
        spec = None if name in sys.builtin_module_names else PathFinder.find_spec(name, path)
        if spec is None or not spec.has_location or not spec.origin:
            return None
        own_name = self._own_name(spec.origin, is_package=spec.submodule_search_locations is not None)
        if own_name is None or own_name == name or not _is_at(own_name, spec.origin):
            return None
        file, line = _importer()
        is_by_folder = path is not None and name.partition(".")[0] not in self._links
        if is_by_folder and any(os.path.realpath(file).startswith(f"{folder}/") for folder in self._folders):
            raise SecondNameError(
                f"'{name}' is '{own_name}' under a second name, which is known only where the folder is a package",
                where=f"{file}:{line}",
                hint=f"{BY_OWN_NAME}: write {own_name}, and not {name}",
            )
        self.found[name] = SecondName(name, own_name, file, line)
        return ModuleSpec(name, _ModuleThatIsThere(own_name))

    def _may_have_plugins(self, entry: str, parent: str) -> bool:
        """Whether a module in the folder `entry`, imported as one of the package `parent`, may have another name."""
        if entry not in self._seen:
            real = os.path.realpath(entry)
            self._seen[entry] = self._package_at(real), real in self._around_links
        package, is_around_links = self._seen[entry]
        return is_around_links or (package is not None and package != parent)

    def _package_at(self, folder: str) -> str | None:
        """The package of plugins that a folder is, empty for a plugin path; None for what is no part of any."""
        inner: list[str] = []
        while folder not in self._packages:
            folder, name = os.path.split(folder)
            if not name or "." in name:
                return None
            inner.insert(0, name)
        return ".".join(part for part in (self._packages[folder], *inner) if part)

    def _own_name(self, file: str, *, is_package: bool) -> str | None:
        folder, name = os.path.split(file)
        found = None if is_package else self._files.get(os.path.realpath(file))
        if found is None:
            package = self._package_at(os.path.realpath(folder))
            own = [] if is_package else [name.partition(".")[0]]
            found = None if package is None else ".".join(part for part in (package, *own) if part)
        parts = (found or "").split(".")
        is_of_plugin = any(".".join(parts[:end]) in self._modules for end in range(1, len(parts) + 1))
        return found if is_of_plugin else None


class _ModuleThatIsThere(Loader):
    """Loads a module by its own name, where it is not there yet, and gives it under another one."""

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._own_name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # in place of that of the other name, which Python has put there


def install(folders: Iterable[Path], plugins: Iterable[PluginFile]) -> None:
    """Let no module of plugins be there under a second name from now on."""
    others = [finder for finder in sys.meta_path if not isinstance(finder, SecondNames)]
    sys.meta_path[:] = [SecondNames(folders, plugins), *others]


def second_names() -> tuple[SecondName, ...]:
    """The modules of plugins that were imported by another name than their own."""
    return tuple(each for finder in sys.meta_path if isinstance(finder, SecondNames) for each in finder.found.values())


def _is_at(name: str, file: str) -> bool:
    """Whether the module `name`, which another one may hide, is that of the file."""
    try:
        module = sys.modules.get(name)
        spec = importlib.util.find_spec(name) if module is None else module.__spec__
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return False
    return spec is not None and os.path.realpath(spec.origin or "") == os.path.realpath(file)


def _importer() -> tuple[str, int]:
    """File and line of the statement that imports."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
