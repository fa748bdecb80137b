"""Find plugins in the plugin paths. Nothing is imported here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from opa._util.sources import PACKAGE_FOLDER
from opa.errors import MetadataError, PluginError, PluginPathError
from opa.loading import conventions
from opa.loading.candidates import (
    NOT_ALLOWED,
    SOMETHING_ELSE,
    Refuse,
    Refused,
    is_for_others,
    is_test,
    module_problem,
    package_problem,
    problem_of_name,
    who_may_read,
    why,
)
from opa.loading.inline_metadata import has_inline_metadata
from opa.loading.metadata import Metadata, metadata_name, read_metadata
from opa.loading.packages import BrokenPackageError, find_module

BUILT_IN_FOLDER = PACKAGE_FOLDER / "plugins"
BUILT_IN_PACKAGE = "opa.plugins"


class PluginFile(NamedTuple):
    """A plugin as it lies on disk.

    Attributes:
        name: the name that it is imported by.
        folder: the plugin path that it was found in; None for an installed one.
        file: its `.py` file; for a package the `__init__.py`.
        is_package: whether it is a folder with an `__init__.py`.
        metadata: what stands in its metadata file.
        module: the dotted name of the module; for one in a plugin path that is its name.
        shadows: files of plugins of the same name that were found later, which are not looked at.
        links: to it, which would be plugins themselves: it is loaded once.
        error: what is wrong with it before it is imported.
    """

    name: str
    folder: Path | None
    file: Path
    is_package: bool
    module: str
    metadata: Metadata = Metadata()
    shadows: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()
    error: PluginError | None = None

    @property
    def match_path(self) -> str:
        """What the filters match: path and name, such as `/plugins/hello`; the dotted name of an installed one."""
        return self.module if self.folder is None else f"{self.folder}/{self.name}"

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with opa-stack."""
        return self.folder == BUILT_IN_FOLDER

    @property
    def place(self) -> Path:
        """The file, or the folder of a package."""
        return self.file.parent if self.is_package else self.file

    @property
    def where(self) -> str:
        """Its file, for messages."""
        return str(self.file)

    @property
    def has_tasks(self) -> bool:
        """Whether it is a package with a `tasks.py`."""
        return self.is_package and (self.file.parent / conventions.TASKS.name).is_file()


def plugin_folders(paths: Iterable[str], *, may_be_missing: Iterable[str] = (), limit: float = 30) -> tuple[Path, ...]:
    """The folders to search, in order, without doubles, the built-in one last.

    Args:
        paths: the plugin paths of the settings. `PACKAGE:FOLDER` is a folder inside an installed package; a relative
            path starts at the current folder; `~` is the home folder.
        may_be_missing: those of them that are skipped where they do not exist, instead of being an error.
        limit: seconds that the packages around a `PACKAGE` may take to import.

    Raises:
        PluginPathError: a path does not exist, is no folder, or may not be read.
    """
    optional = set(may_be_missing)
    folders: list[Path] = []
    for path in paths:
        folder = _inside_package(path, limit) if _names_package(path) else Path(path).expanduser()
        folder = folder.absolute()
        try:
            if not os.path.lexists(folder) and path in optional:
                continue
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise _bad_path(path, "is not a folder")
            os.stat(f"{folder}/.")  # noqa: PTH116 - whether files in it can be read; a Path would take the dot away
        except OSError as error:
            raise _bad_path(path, why(error, folder)) from None
        folders.append(folder)
    return tuple(dict.fromkeys([folder for folder in folders if folder != BUILT_IN_FOLDER] + [BUILT_IN_FOLDER]))


def _bad_path(path: str, problem: str) -> PluginPathError:
    return PluginPathError(
        f"plugin path '{path}' {problem}",
        where="setting PLUGIN_PATHS",
        hint=who_may_read() if problem == NOT_ALLOWED else "Create the folder, or remove it from PLUGIN_PATHS",
    )


def _names_package(path: str) -> bool:
    package, colon, _ = path.partition(":")
    return bool(colon) and package.replace(".", "_").isidentifier() and len(package) > 1


def _inside_package(path: str, limit: float) -> Path:
    package, _, folder = path.partition(":")
    try:
        spec = find_module(package, limit)
    except BrokenPackageError as error:
        problem = f"plugin path '{path}' names the package '{package}', and {error.problem}"
        raise PluginPathError(problem, where=error.where, hint=error.hint) from error
    if spec is None or not spec.submodule_search_locations:
        raise PluginPathError(
            f"plugin path '{path}' names the package '{package}', which is not installed",
            where="setting PLUGIN_PATHS",
            hint="Install the package, or write a path",
        )
    return Path(next(iter(spec.submodule_search_locations))) / folder


def find_plugins(folders: Iterable[Path], refuse: Refuse = lambda _: None) -> tuple[PluginFile, ...]:
    """The plugins in `folders`, by folder and then by name.

    Args:
        folders: the plugin paths.
        refuse: is told what looks like a plugin, and cannot be loaded.

    Raises:
        PluginPathError: a folder cannot be listed.
    """
    return tuple(plugin for folder in folders for plugin in _plugins_in(folder, refuse))


def _plugins_in(folder: Path, refuse: Refuse) -> Iterator[PluginFile]:
    """What Python could import from `folder`: modules, and folders with an `__init__.py`.

    The folder is listed once, since asking for each file by itself would take longer than to import it.
    """
    try:
        with os.scandir(folder) as entries:
            names = {entry.name: entry for entry in entries if entry.name[0] != "."}
    except OSError as error:
        raise _bad_path(str(folder), why(error, folder)) from None
    prefix = f"{BUILT_IN_PACKAGE}." if folder == BUILT_IN_FOLDER else ""
    found: dict[str, PluginFile] = {}
    for name, entry in names.items():
        stem, dot, suffix = name.rpartition(".")
        if is_for_others(name):
            problem = problem_of_name(entry)
            if problem is not None and folder != BUILT_IN_FOLDER:
                refuse(Refused(folder / name, stem, problem))
            continue
        if is_test(entry):
            continue
        is_module = dot and suffix.lower() == "py"
        problem = module_problem(entry) if is_module else package_problem(entry)
        if problem is SOMETHING_ELSE:
            continue
        if problem is not None:
            refuse(Refused(folder / name, stem if is_module else name, problem))
        elif is_module:
            plugin = PluginFile(stem, folder, folder / name, False, prefix + stem)
            # A package hides a module of its name, as it does for Python.
            has_metadata = metadata_name(stem) in names or (not prefix and has_inline_metadata(plugin.file))
            found.setdefault(stem, with_metadata(plugin) if has_metadata else plugin)
        else:
            file = folder / name / "__init__.py"
            found[name] = with_metadata(PluginFile(name, folder, file, True, prefix + name))
    return iter([found[name] for name in sorted(found)])


def as_plugin(refused: Refused) -> PluginFile:
    """What cannot be loaded, as the plugin that it would have been."""
    return PluginFile(refused.name, refused.path.parent, refused.path, False, refused.name)


def with_metadata(plugin: PluginFile) -> PluginFile:
    """The plugin with what stands in its metadata, or with the error that is in it."""
    try:
        metadata = read_metadata(plugin.file.parent if plugin.is_package else plugin.file)
    except MetadataError as error:
        error.plugin = plugin.name
        return plugin._replace(error=error)
    return plugin._replace(metadata=metadata)


def first_of_each_name(plugins: Iterable[PluginFile]) -> tuple[PluginFile, ...]:
    """Of plugins of one name the first, which remembers the files of the others."""
    found: dict[str, PluginFile] = {}
    for plugin in plugins:
        first = found.get(plugin.name)
        if first is None:
            found[plugin.name] = plugin
        elif plugin.file != first.file:
            found[plugin.name] = first._replace(shadows=(*first.shadows, plugin.file))
    return tuple(found.values())
