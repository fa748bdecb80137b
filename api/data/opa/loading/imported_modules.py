"""The modules of plugins in this process: where Python finds them, which there are, and how they are forgotten."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from types import ModuleType
from typing import Any

from opa._util.objects import is_a
from opa.loading import second_names
from opa.logging.folding import MARK

_PACKAGE = __name__.partition(".")[0]


class PluginFolder(str):
    """An entry of `sys.path` that is here because it is a plugin path."""

    __slots__ = ()


def put_on_path(folders: Iterable[Path]) -> None:
    """Put these at the end of `sys.path`, in place of those of an earlier application."""
    others = [entry for entry in sys.path if not isinstance(entry, PluginFolder)]
    sys.path[:] = others + [PluginFolder(folder) for folder in folders if str(folder) not in others]


def forget_plugins() -> None:
    """Take the plugins of earlier applications, and what else they import from plugin paths, out of `sys.modules`."""
    folders = tuple(str(entry) for entry in sys.path if isinstance(entry, PluginFolder))
    # First what is quick: of thousands of modules, nearly all are files elsewhere. A package may have folders besides
    # its own.
    looked_at = {
        name: values
        for name, module in all_modules().items()
        # Not getattr of anything else: some modules import others when they are asked for an attribute.
        if MARK in (values := getattr(module, "__dict__", {}))
        or "__path__" in values
        or str(values.get("__file__")).startswith(folders)
    }
    forget_modules({name for name, values in looked_at.items() if MARK in values or _lies_in(folders, name, values)})


def all_modules() -> dict[str, ModuleType]:
    """All modules that are imported, by their names; another thread may import more of them meanwhile."""
    return sys.modules.copy()


def modules_of(plugins: Mapping[str, str]) -> Iterator[tuple[str, ModuleType]]:
    """The modules of plugins, and those inside of them, each with the name of its plugin.

    Args:
        plugins: the name of the plugin of each module.
    """
    outermost = {module.partition(".")[0] for module in plugins}
    modules = all_modules()
    for name in sorted(name for name in modules if name.partition(".")[0] in outermost):
        parent = name
        while parent and parent not in plugins:
            parent = parent.rpartition(".")[0]
        # A module may stand in for itself with an object of another kind.
        if parent and is_a(modules[name], ModuleType):
            yield plugins[parent], modules[name]


def _lies_in(folders: tuple[str, ...], name: str, values: Mapping[str, Any]) -> bool:
    """Whether a module with these attributes is a file or folder in one of `folders` itself, by whatever name."""
    if not folders:
        return False
    for place in values.get("__path__") or (values.get("__file__"),):
        # First what is quick: it is asked for each package that there is.
        if isinstance(place, str) and place.startswith(folders) and os.path.dirname(place) in folders:  # noqa: PTH120
            return name.partition(".")[0] != _PACKAGE
    return False


def forget_modules(modules: Set[str]) -> None:
    """Take modules, and their submodules, out of `sys.modules`, by whatever name they are there."""
    if not modules:
        return
    own = _with_submodules(modules)
    gone = _with_submodules(modules | {each.name for each in second_names.second_names() if own(each.own_name)})
    for name in filter(gone, all_modules()):
        module = sys.modules.pop(name)
        package, _, attribute = name.rpartition(".")
        around = getattr(sys.modules.get(package), "__dict__", {})
        if around.get(attribute) is module:  # where `from package import module` would find it
            del around[attribute]


def _with_submodules(modules: Set[str]) -> Callable[[str], bool]:
    """Whether a name is one of these, or inside of one."""
    inside = tuple(f"{name}." for name in modules)
    return lambda name: name in modules or name.startswith(inside)
