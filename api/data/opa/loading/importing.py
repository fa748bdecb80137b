"""Import the plugins that are to be loaded."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from zipimport import zipimporter

from opa._util.objects import is_a
from opa._util.reading import MAX_FILE_BYTES, TOO_LARGE
from opa._util.watchdog import TimeLimitError, Watchdog
from opa.errors import OpaError, PluginImportError
from opa.loading import conventions, known_places, second_names
from opa.loading.candidates import LARGE_HINT, LINK_HINT, who_may_read
from opa.loading.conventions import Convention, declared_in
from opa.loading.discover import BUILT_IN_FOLDER, PluginFile
from opa.loading.import_errors import deepest_line_in, import_hint, summary
from opa.loading.imported_modules import PluginFolder, forget_modules, forget_plugins, put_on_path
from opa.loading.repeats import note_done
from opa.loading.roster import Roster
from opa.logging.folding import MARK
from opa.logging.logger import log

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

PARTS = tuple(convention.module for convention in conventions.of_kind("module"))
"""Submodules of a package that mean something to opa-stack, and are imported with it."""


class ImportedPlugin(NamedTuple):
    """A plugin and its modules.

    Attributes:
        file: the plugin as it lies on disk.
        module: its module, or its package.
        parts: those of the submodules `PARTS`, and others that were asked for or that plugins declare, that the package
            has.
        threads: the names of the threads that it has started meanwhile, and that still run.
        seconds: that its import took.
    """

    file: PluginFile
    module: ModuleType
    parts: Mapping[str, ModuleType] = {}
    threads: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the plugin."""
        return self.file.name

    def attribute(self, convention: Convention) -> Any:
        """What the plugin has under this name at its top; None where that is nothing, or a submodule of that name."""
        value = getattr(self.module, convention.name, None)
        return None if is_a(value, ModuleType) else value

    def found(self, convention: Convention) -> Any:
        """What the plugin has under a convention of a plugin; None where that is nothing."""
        if convention.kind == "module":
            return self.parts.get(convention.module)
        if convention.kind == "folder":
            return self._folder(convention.name) if self.file.is_package else None
        return self.attribute(convention)

    def _folder(self, name: str) -> Path | Traversable | None:
        folder = self.file.file.parent / name
        if folder.is_dir():
            return folder
        if not isinstance(getattr(self.module, "__loader__", None), zipimporter):
            return None
        from importlib.resources import files  # takes a while, and few have archives

        inside = files(self.module).joinpath(name.rstrip("/"))
        return inside if inside.is_dir() else None


def import_plugins(
    roster: Roster, folders: Sequence[Path], submodules: Sequence[str] = ()
) -> tuple[ImportedPlugin, ...]:
    """Import the plugins of `roster` afresh and give them in its order.

    Every folder is put at the end of `sys.path`, so that plugins can import from one another and none can stand before
    an installed module. Built-in plugins are imported first, as `opa.plugins.NAME` and under their bare name, so
    that both names mean one module however a user's plugin spells it.

    A plugin that cannot be imported is skipped, with those that require it.

    Args:
        roster: the plugins.
        folders: the plugin paths.
        submodules: more submodules or subpackages that are imported with each package which has them.

    Raises:
        PluginImportError: a plugin that may not be skipped does not import, takes too long, or has the name of an
            installed module.
    """
    forget_plugins()
    put_on_path(folders)
    installed = _installed_names()
    in_folders = [plugin for plugin in roster.plugins if plugin.folder is not None and not plugin.is_built_in]
    known_places.install(plugin for plugin in in_folders if plugin.name not in installed)
    second_names.install([folder for folder in folders if folder != BUILT_IN_FOLDER], roster.plugins)
    importlib.invalidate_caches()
    imported: dict[str, ImportedPlugin] = {}
    declared: list[str] = []
    with Watchdog(log.warning, log.info).running() as watchdog:

        def attempt(plugin: PluginFile, do: Callable[[], ImportedPlugin]) -> None:
            try:
                with watchdog.watch(f"importing plugin '{plugin.name}'", roster.policy.limit(plugin.name, "IMPORT")):
                    imported[plugin.name] = do()
            except PluginImportError as error:
                roster.skip(plugin.name, error)

        for plugin in sorted(roster.plugins, key=lambda plugin: not plugin.is_built_in):
            if plugin.name not in roster:
                continue
            known = [*declared, *submodules]
            attempt(plugin, partial(_import_plugin, plugin, roster, folders, installed, known))
            if plugin.name in imported:
                declared += [each.module for each in declared_in(imported[plugin.name].module) if each.kind == "module"]
        for plugin in roster.plugins if declared else ():
            if plugin.name in roster and plugin.is_package:
                attempt(plugin, partial(_with_declared_parts, imported[plugin.name], roster, folders, declared))
    return tuple(imported[plugin.name] for plugin in roster.plugins)


def _import_plugin(
    plugin: PluginFile, roster: Roster, folders: Sequence[Path], installed: Set[str], submodules: Sequence[str]
) -> ImportedPlugin:
    if plugin.folder is not None and not plugin.is_built_in and plugin.name in installed:
        _refuse_name_of_installed_module(plugin)
    before, began = threading.enumerate(), time.perf_counter()
    with _errors_told(plugin, roster, folders) as doing:
        module = importlib.import_module(plugin.module)
        setattr(module, MARK, True)
        if plugin.is_built_in:
            sys.modules[plugin.name] = module
        parts = _import_parts(plugin, PARTS, submodules, doing)
    note_done(f"import {plugin.file}")
    return ImportedPlugin(plugin, module, parts, _threads_since(before), time.perf_counter() - began)


def _with_declared_parts(
    found: ImportedPlugin, roster: Roster, folders: Sequence[Path], declared: Sequence[str]
) -> ImportedPlugin:
    """The plugin with those of the modules `declared` that were declared after it was imported."""
    missing = [module for module in declared if module not in found.parts]
    before = threading.enumerate()
    with _errors_told(found.file, roster, folders) as doing:
        parts = _import_parts(found.file, (), missing, doing)
    threads = (*found.threads, *_threads_since(before))
    return found._replace(parts={**found.parts, **parts}, threads=threads) if parts else found


def import_part(found: ImportedPlugin, part: str, roster: Roster, folders: Sequence[Path]) -> ModuleType | None:
    """Import a submodule of a plugin that is not imported with it; None where there is none.

    Args:
        found: the plugin.
        part: the name of the submodule, or subpackage.
        roster: says how long it may take.
        folders: the plugin paths.

    Raises:
        PluginImportError: it does not import, or takes too long.
    """
    with (
        Watchdog(log.warning, log.info).running() as watchdog,
        _errors_told(found.file, roster, folders) as doing,
        watchdog.watch(f"importing {part} of plugin '{found.name}'", roster.policy.limit(found.name, "IMPORT")),
    ):
        return _import_parts(found.file, (), [part], doing).get(part)


class _Doing:
    """What is imported at the moment, for messages."""

    def __init__(self, what: str, file: Path) -> None:
        self.what = what
        self.file = file


def _import_parts(
    plugin: PluginFile, parts: Sequence[str], submodules: Sequence[str], doing: _Doing
) -> dict[str, ModuleType]:
    """Import those of `parts`, which are modules, and of `submodules`, which may be packages, that a package has."""
    found = {}
    for part in (*parts, *submodules) if plugin.is_package else ():
        file = plugin.file.with_name(f"{part}.py")
        if part in submodules and not (file.is_file() or file.is_symlink()):
            file = plugin.file.parent / part / "__init__.py"
        if file.is_file() or file.is_symlink():  # also one that leads nowhere
            doing.what, doing.file = f"{file.name} of plugin '{plugin.name}'", file
            if not file.exists():
                raise PluginImportError("it is a link that leads nowhere", where=str(file), hint=LINK_HINT)
            if file.stat().st_size > MAX_FILE_BYTES:
                raise PluginImportError(f"it {TOO_LARGE}", where=str(file), hint=LARGE_HINT)
            found[part] = importlib.import_module(f"{plugin.module}.{part}")
    return found


@contextmanager
def _errors_told(plugin: PluginFile, roster: Roster, folders: Sequence[Path]) -> Iterator[_Doing]:
    """What the import of a plugin raises in the block is told with the plugin and the place, and its modules go."""
    doing = _Doing(f"plugin '{plugin.name}'", plugin.file)
    try:
        yield doing
    except KeyboardInterrupt:
        raise
    except TimeLimitError as error:
        forget_modules({plugin.module})
        limit = roster.policy.limit(plugin.name, "IMPORT")
        raise PluginImportError(
            f"{doing.what} takes longer than {limit:g} s to import",
            plugin=plugin.name,
            where=deepest_line_in([*folders, plugin.file.parent], error) or f"{doing.file}:1",
            hint="Move what takes long into ready(), or raise PLUGIN_IMPORT_TIMEOUT",
        ) from error
    except BaseException as error:
        forget_modules({plugin.module})
        raise _import_error(doing.what, plugin, doing.file, error, [*folders, plugin.file.parent]) from error


def _threads_since(before: Sequence[threading.Thread]) -> tuple[str, ...]:
    return tuple(thread.name for thread in threading.enumerate() if thread not in before)


def _installed_names() -> frozenset[str]:
    """The names that a plugin may not have, and some more; asking Python for each plugin would take longer."""
    names = set(sys.stdlib_module_names)
    for entry in sys.path:
        if not isinstance(entry, PluginFolder):
            try:
                names.update(name.partition(".")[0] for name in os.listdir(entry or "."))  # noqa: PTH208
            except OSError:
                continue  # archives, and folders that are not there
    return frozenset(names)


def _refuse_name_of_installed_module(plugin: PluginFile) -> None:
    if plugin.name in sys.stdlib_module_names:
        owner = "a module of Python's standard library"
    else:
        spec = PathFinder.find_spec(plugin.name, [entry for entry in sys.path if not isinstance(entry, PluginFolder)])
        if spec is None or not spec.has_location or not spec.origin or Path(spec.origin) == plugin.file:
            return
        owner = f"the installed module {spec.origin}"
    raise PluginImportError(
        f"plugin '{plugin.name}' has the name of {owner}, which Python would import instead",
        plugin=plugin.name,
        where=f"{plugin.file}:1",
        hint=f"Rename it, for example to my_{plugin.name}",
    )


def _import_error(
    what: str, plugin: PluginFile, file: Path, error: BaseException, folders: Iterable[Path]
) -> PluginImportError:
    if isinstance(error, OpaError) and error.where:
        # It says where by itself, and what to do.
        return PluginImportError(
            f"{what} does not import: {error.problem}", plugin=plugin.name, where=error.where, hint=error.hint
        )
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
        hint = "Fix the syntax"
    else:
        where = deepest_line_in(folders, error) or f"{file}:1"
        hint = who_may_read() if _is_unreadable(plugin, error) else import_hint(error, plugin.file)
    return PluginImportError(f"{what} does not import: {summary(error)}", plugin=plugin.name, where=where, hint=hint)


def _is_unreadable(plugin: PluginFile, error: BaseException) -> bool:
    """Whether it is a file of the plugin that this process may not read: what it opens itself has other reasons."""
    file = str(getattr(error, "filename", None))
    is_part = plugin.is_package and file.startswith(f"{plugin.file.parent}{os.sep}") and file.endswith(".py")
    return isinstance(error, PermissionError) and (is_part or file == str(plugin.file))
