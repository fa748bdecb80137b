"""Find plugins in the plugin paths. Nothing is imported here."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import FileFinder
from pathlib import Path

from opa.core.errors import PluginPathError
from opa.core.metadata import Metadata, metadata_file, read_metadata

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
BUILT_IN_FOLDER = PACKAGE_FOLDER / "plugins"


@dataclass(frozen=True)
class PluginFile:
    """A plugin as it lies on disk.

    Attributes:
        name: the name that it is imported by.
        folder: the plugin path that it was found in.
        file: its `.py` file; for a package the `__init__.py`.
        is_package: whether it is a folder with an `__init__.py`.
        metadata: what stands in its metadata file.
        shadows: files of plugins of the same name in later plugin paths, which are not looked at.
    """

    name: str
    folder: Path
    file: Path
    is_package: bool
    metadata: Metadata
    shadows: tuple[Path, ...] = ()

    @property
    def match_path(self) -> str:
        """What the filters match: the plugin path and the name, such as `/plugins/hello`."""
        return str(self.folder / self.name)

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with opa-stack."""
        return self.folder == BUILT_IN_FOLDER

    @property
    def has_tasks(self) -> bool:
        """Whether it is a package with a `tasks.py`."""
        return self.is_package and (self.file.parent / "tasks.py").is_file()


def plugin_folders(paths: Iterable[str], *, may_be_missing: Iterable[str] = ()) -> tuple[Path, ...]:
    """The folders to search, in order, without doubles, the built-in one last.

    Args:
        paths: the plugin paths of the settings. `PACKAGE:FOLDER` is a folder inside an installed package; a relative
            path starts at the current folder; `~` is the home folder.
        may_be_missing: those of them that are left out where they do not exist, instead of being an error.

    Raises:
        PluginPathError: a path does not exist or is no folder.
    """
    optional = set(may_be_missing)
    folders: list[Path] = []
    for path in paths:
        folder = _inside_package(path) if _names_package(path) else Path(path).expanduser()
        folder = folder.absolute()
        if not folder.exists() and path in optional:
            continue
        if not folder.is_dir():
            raise PluginPathError(
                f"plugin path '{path}' is not a folder" if folder.exists() else f"plugin path '{path}' does not exist",
                where="setting PLUGIN_PATHS",
                hint="Make the folder, or take it out of PLUGIN_PATHS",
            )
        folders.append(folder)
    return tuple(dict.fromkeys([folder for folder in folders if folder != BUILT_IN_FOLDER] + [BUILT_IN_FOLDER]))


def _names_package(path: str) -> bool:
    package, colon, _ = path.partition(":")
    return bool(colon) and package.replace(".", "_").isidentifier() and len(package) > 1


def _inside_package(path: str) -> Path:
    package, _, folder = path.partition(":")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PluginPathError(
            f"plugin path '{path}' names the package '{package}', which is not installed",
            where="setting PLUGIN_PATHS",
            hint="Install the package, or write a path",
        )
    return Path(next(iter(spec.submodule_search_locations))) / folder


def find_plugins(folders: Iterable[Path]) -> tuple[PluginFile, ...]:
    """The plugins in `folders`, by folder and then by name; of plugins with the same name, the first.

    Raises:
        MetadataError: a metadata file is not valid.
    """
    found: dict[str, PluginFile] = {}
    shadowed: dict[str, list[Path]] = {}
    for folder in folders:
        for name, file, is_package in _modules(folder):
            if name in found:
                shadowed.setdefault(name, []).append(file)
                continue
            metadata = read_metadata(metadata_file(file.parent if is_package else file))
            found[name] = PluginFile(name, folder, file, is_package, metadata)
    return tuple(
        plugin
        if plugin.name not in shadowed
        else PluginFile(
            plugin.name,
            plugin.folder,
            plugin.file,
            plugin.is_package,
            plugin.metadata,
            shadows=tuple(shadowed[plugin.name]),
        )
        for plugin in found.values()
    )


def _modules(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Name, file and whether it is a package, of what Python could import from `folder`, sorted by name."""
    for module in sorted(pkgutil.iter_modules([str(folder)]), key=lambda module: module.name):
        if not isinstance(module.module_finder, FileFinder):
            continue
        file = folder / module.name / "__init__.py" if module.ispkg else folder / f"{module.name}.py"
        if file.is_file():
            yield module.name, file, module.ispkg
