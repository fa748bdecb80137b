"""Import the plugins that are to be loaded."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from opa.core.discover import PACKAGE_FOLDER, PluginFile
from opa.core.errors import PluginImportError

BUILT_IN_PACKAGE = "opa.plugins"
MARK = "__opa_plugin__"


@dataclass(frozen=True)
class ImportedPlugin:
    """A plugin and its module."""

    file: PluginFile
    module: ModuleType

    @property
    def name(self) -> str:
        """The name of the plugin."""
        return self.file.name


def import_plugins(plugins: Sequence[PluginFile], folders: Sequence[Path]) -> tuple[ImportedPlugin, ...]:
    """Import `plugins` afresh and give them in the order in which they were given.

    Every folder is put at the end of `sys.path`, so that plugins can import from one another and none can stand before
    an installed module. Built-in plugins are imported first, as `opa.plugins.NAME` and under their bare name, so
    that both names mean one module however a user's plugin spells it.

    Raises:
        PluginImportError: a plugin does not import, or has the name of an installed module.
    """
    _forget_earlier_plugins()
    _put_on_path(folders)
    importlib.invalidate_caches()
    modules: dict[str, ModuleType] = {}
    for plugin in sorted(plugins, key=lambda plugin: not plugin.is_built_in):
        if not plugin.is_built_in:
            _refuse_name_of_installed_module(plugin)
        modules[plugin.name] = _import(plugin, folders)
        if plugin.has_tasks:
            _import_tasks(plugin, folders)
    return tuple(ImportedPlugin(plugin, modules[plugin.name]) for plugin in plugins)


class PluginFolder(str):
    """An entry of `sys.path` that is here because it is a plugin path."""

    __slots__ = ()


def _put_on_path(folders: Iterable[Path]) -> None:
    others = [entry for entry in sys.path if not isinstance(entry, PluginFolder)]
    sys.path[:] = others + [PluginFolder(folder) for folder in folders if str(folder) not in others]


def _forget_earlier_plugins() -> None:
    """Take the plugins of an application that was prepared earlier out of `sys.modules`: this one gets its own."""
    # Not getattr: some modules import others when they are asked for an attribute.
    marked = {name for name, module in sys.modules.items() if MARK in getattr(module, "__dict__", ())}
    for name in [name for name in sys.modules if any(name == m or name.startswith(f"{m}.") for m in marked)]:
        del sys.modules[name]


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
        where=f"{plugin.file}:1",
        hint=f"Rename it, for example to my_{plugin.name}",
    )


def _import(plugin: PluginFile, folders: Sequence[Path]) -> ModuleType:
    name = f"{BUILT_IN_PACKAGE}.{plugin.name}" if plugin.is_built_in else plugin.name
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise import_error(f"plugin '{plugin.name}'", plugin.file, error, folders) from error
    setattr(module, MARK, True)
    sys.modules[plugin.name] = module
    return module


def _import_tasks(plugin: PluginFile, folders: Sequence[Path]) -> None:
    try:
        importlib.import_module(f"{plugin.name}.tasks")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        file = plugin.file.with_name("tasks.py")
        raise import_error(f"tasks.py of plugin '{plugin.name}'", file, error, folders) from error


def import_error(what: str, file: Path, error: BaseException, folders: Iterable[Path]) -> PluginImportError:
    """The error to raise where importing `what`, which stands in `file`, raised `error`."""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
        hint = "Mend the syntax"
    else:
        where = _deepest_line_in(folders, error) or f"{file}:1"
        hint = _hint(error)
    return PluginImportError(f"{what} does not import: {_summary(error)}", where=where, hint=hint)


def _summary(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code!r}) while it is imported"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {error}"


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        known = {*sys.stdlib_module_names, *sys.modules}
        close = difflib.get_close_matches(error.name, known, n=1, cutoff=0.75)
        return f"Did you mean '{close[0]}'?" if close else f"Install the package that has '{name}', or mend the import"
    return "Mend the plugin, or leave it out with PLUGIN_BLACKLIST_LIST"


def _deepest_line_in(folders: Iterable[Path], error: BaseException) -> str | None:
    """`file:line` of the innermost frame of the traceback that lies in a user's plugin, or else in any plugin."""
    lines = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in folders)
    ]
    users = [line for line in lines if not Path(line[0]).is_relative_to(PACKAGE_FOLDER)]
    chosen = users or lines
    return f"{chosen[-1][0]}:{chosen[-1][1]}" if chosen else None
