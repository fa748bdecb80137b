"""Find plugins among the installed packages: those that the settings name, and those that announce themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from opa._util.distributions import may_have_entry_points
from opa.errors import PluginImportError, PluginPathError
from opa.loading import conventions
from opa.loading.discover import PluginFile, with_metadata
from opa.loading.packages import BrokenPackageError, find_module
from opa.loading.policy import Policy
from opa.logging.logger import log

ENTRY_POINT_GROUP = conventions.ENTRY_POINTS.name

_points_cache: dict[object, tuple[EntryPoint, ...]] = {}


class NamedPlugin(NamedTuple):
    """An entry of the setting `INSTALLED_PLUGINS`."""

    module: str
    optional: bool = False

    @classmethod
    def from_entry(cls, entry: str | Mapping[str, object]) -> NamedPlugin:
        """From `"acme.reports"` or `{"NAME": "acme.reports", "OPTIONAL": true}`."""
        if isinstance(entry, str):
            return cls(entry)
        return cls(str(entry["NAME"]), bool(entry.get("OPTIONAL", False)))


def named_plugins(entries: Iterable[NamedPlugin], policy: Policy) -> Iterator[PluginFile]:
    """The plugins that the settings name, in their order. One whose package does not import has that as its error.

    Raises:
        PluginPathError: one is not installed, and not marked as optional.
    """
    for entry in entries:
        plugin = _find(entry.module, policy)
        if plugin is not None:
            yield plugin
        elif entry.optional:
            log.warning(f"the optional plugin '{entry.module}' of INSTALLED_PLUGINS is not installed")
        else:
            raise PluginPathError(
                f"the plugin '{entry.module}' is not installed",
                where="setting INSTALLED_PLUGINS",
                hint=f"Install it, fix its name, or mark it: {{NAME: {entry.module}, OPTIONAL: true}}",
            )


def announced_plugins(policy: Policy) -> Iterator[PluginFile]:
    """The plugins that installed packages announce by the entry-point group `opa.plugins`, by name.

    Raises:
        PluginPathError: an entry point names a module that does not exist.
    """
    for point in _points():
        try:
            module = point.module
        except AttributeError:  # its value is none
            module = ""
        plugin = _find(module, policy) if module else None
        if plugin is None:
            raise PluginPathError(
                f"the entry point '{point.name}' of {ENTRY_POINT_GROUP} names '{point.value}', which is not there",
                where=point.dist.name if point.dist else "an installed package",
                hint="Fix or remove the package, or set PLUGIN_AUTOLOAD to false",
            )
        yield _with_version_of(point, plugin)


def _points() -> tuple[EntryPoint, ...]:
    """Those of the group, by name. They are read once while nothing is installed: an application of each test asks."""
    key = (entry_points, tuple(map(_stamp, sys.path)))
    if key not in _points_cache:
        _points_cache.clear()
        points = entry_points(group=ENTRY_POINT_GROUP) if may_have_entry_points(ENTRY_POINT_GROUP) else ()
        _points_cache[key] = tuple(sorted(points, key=lambda point: point.name))
    return _points_cache[key]


def _stamp(entry: str) -> tuple[str, int]:
    """That by which Python itself knows whether what it has found in a folder is still there."""
    try:
        return entry, os.stat(entry or ".").st_mtime_ns  # noqa: PTH116 - an entry may be no path
    except OSError:
        return entry, 0


def _find(module: str, policy: Policy) -> PluginFile | None:
    name = module.rpartition(".")[2]
    try:
        spec = find_module(module, policy.limit(name, "IMPORT"))
    except BrokenPackageError as error:
        problem = f"plugin '{name}' does not import: {error.problem}"
        return PluginFile(
            name,
            None,
            error.file,
            False,
            module,
            error=PluginImportError(problem, plugin=name, where=error.where, hint=error.hint),
        )
    if spec is None or not spec.origin or not spec.has_location:
        return None
    file = Path(spec.origin)
    return with_metadata(PluginFile(name, None, file, bool(spec.submodule_search_locations), module))


def _with_version_of(point: EntryPoint, plugin: PluginFile) -> PluginFile:
    """The plugin with the version of its distribution, where its metadata says none."""
    if plugin.metadata.version is not None or point.dist is None:
        return plugin
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(point.dist.version)
    except InvalidVersion:
        return plugin
    return plugin._replace(metadata=plugin.metadata._replace(version=version))
