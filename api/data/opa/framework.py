"""`Framework`: a view of groups and settings for programs that were written for SPOC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from opa._util.import_strings import UriError, resolve
from opa.core.groups import Groups, is_in
from opa.core.manager import get_plugin_manager
from opa.core.running import refuse_inside_application
from opa.errors import GroupError
from opa.loading.discover import BUILT_IN_PACKAGE

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.load import Config


@dataclass(frozen=True)
class Schema:
    """Which submodules of the plugins a `Framework` imports with them.

    Attributes:
        modules: their names, such as `models`; a plugin need not have them.
    """

    modules: Sequence[str] = ()


@dataclass(frozen=True)
class FrameworkConfig:
    """The settings where a program written for SPOC looks for them: `framework.config.settings.NAME`."""

    settings: Config


class Importer:
    """Finds what a URI names."""

    def load_from_uri(self, uri: str) -> Any:
        """The function, class, instance or module that `uri` names.

        Raises:
            GroupError: it leads to nothing; the message says why.
        """
        try:
            return resolve(uri)
        except UriError as error:
            raise GroupError(f"'{uri}': {error}") from error.__cause__


class Framework:
    """Settings and groups of an application that no server runs, for a program with a main function of its own.

    The steps are those of every process up to *register*: components are not connected, and `ready` does not run.

    Args:
        base_dir: where relative paths start, that of the settings folder among them.
        schema: which submodules of the plugins to import.

    Attributes:
        plugins: the groups that have members, by name; each maps URIs to objects, in order, and is read-only.
        config: has the `settings`.
        importer: finds objects by URI.

    Raises:
        OpaError: a mistake in settings or plugins, or the code runs inside an application already.
    """

    plugins: Mapping[str, Mapping[str, Any]]
    config: FrameworkConfig
    importer: Importer

    def __init__(self, base_dir: Path | str = ".", schema: Schema | None = None) -> None:
        from opa.bootstrap import prepare

        refuse_inside_application("a Framework", "Framework.current()")
        with contextlib.chdir(base_dir):
            self._look_at(prepare(submodules=schema.modules if schema else ()))

    @classmethod
    def current(cls) -> Self:
        """That of the application which this code runs for.

        Raises:
            NotRunningError: no application was prepared in this process.
        """
        framework = cls.__new__(cls)
        framework._look_at(get_plugin_manager())
        return framework

    def _look_at(self, manager: PluginManager) -> None:
        self.plugins = _GroupsView(manager.groups)
        self.config = FrameworkConfig(manager.config)
        self.importer = Importer()


class _GroupsView(Mapping[str, Mapping[str, Any]]):
    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        members = self._of_the_program(name)
        if not members:
            raise KeyError(name)
        return members

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._groups.names() if self._of_the_program(name))

    def _of_the_program(self, name: str) -> Mapping[str, Any]:
        """The members of a group without those that the plugins which come with opa-stack register."""
        members = self._groups.members(name)
        own = {each.uri: each.value for each in members if not is_in(each.module, BUILT_IN_PACKAGE)}
        return self._groups.get(name) if len(own) == len(members) else MappingProxyType(own)

    def __len__(self) -> int:
        return sum(1 for _ in self)
