"""Groups: ordered sets of objects that the settings name by URI, or that plugins register under a name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from opa._util.import_strings import UriError, resolve
from opa._util.words import kind_of
from opa.errors import GroupError
from opa.loading import conventions

Registered = TypeVar("Registered")

MIDDLEWARE = conventions.MIDDLEWARE_GROUP.name
OF_INSTANCES = (
    conventions.AUTHENTICATORS_GROUP.name,
    conventions.COMPONENT_OBSERVERS_GROUP.name,
    conventions.REQUEST_OBSERVERS_GROUP.name,
    conventions.TASK_OBSERVERS_GROUP.name,
)
"""Groups of objects: a class that is named, or registered, is instantiated."""
CONFIGURE = conventions.CONFIGURE.name


class Entry(NamedTuple):
    """An entry of a group in the settings.

    Attributes:
        uri: names the object.
        opts: what it is configured with.
        factory: whether the object is called, and what it returns stands in the group.
    """

    uri: str
    opts: Mapping[str, Any] = {}
    factory: bool = False

    @classmethod
    def from_setting(cls, entry: str | Mapping[str, Any]) -> Entry:
        """From `"package.module.name"` or `{"URI": "package.module.name", "OPTS": {…}, "FACTORY": true}`."""
        if isinstance(entry, str):
            return cls(entry)
        keys = {str(key).upper(): value for key, value in entry.items()}
        return cls(
            keys["URI"],
            {str(key).lower(): value for key, value in keys.get("OPTS", {}).items()},
            bool(keys.get("FACTORY")),
        )


class Member(NamedTuple):
    """An object in a group.

    Attributes:
        uri: names it in the group.
        value: the object.
        opts: the settings for it, where it is not configured by the group itself (middleware).
        module: of the plugin that registered it; empty where the settings name it.
    """

    uri: str
    value: Any
    opts: Mapping[str, Any] = {}
    module: str = ""

    @property
    def home(self) -> str:
        """The module that it is in, with the names of the object inside of that where the settings have it."""
        return self.module or self.uri.replace(":", ".")


class Outcome(NamedTuple):
    """What calling a member of a group gave: `value`, or the `error` that it raised."""

    value: Any = None
    error: Exception | None = None


class Groups:
    """The groups of one application: what the settings name, and behind it what plugins register."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, Member]] = {}
        self._registered: dict[str, dict[str, Member]] = {}
        self._views: dict[str, Mapping[str, Any]] = {}

    def register(self, group: str, value: Any, *, uri: str | None = None, module: str = "") -> None:
        """Add an object of a plugin to `group`.

        Args:
            group: any name; case does not matter.
            value: the object; a class of an authenticator, or of an observer, is instantiated.
            uri: names it in the group; by default its module and name.
            module: that registers it; by default the one that it is in. It may be an object of a library.
        """
        home = getattr(value, "__module__", "") or ""
        module = module or home
        name = uri or f"{home or module}.{getattr(value, '__qualname__', type(value).__name__)}"
        group = group.lower()
        if group in OF_INSTANCES and inspect.isclass(value):
            value = value()
        self._registered.setdefault(group, {}).setdefault(name, Member(name, value, module=module))
        self._views.pop(group, None)

    def put_first(self, group: str, value: Any, *, uri: str) -> None:
        """Put an object before all members of `group`."""
        group = group.lower()
        self._members[group] = {uri: Member(uri, value), **self._members.get(group, {})}
        self._views.pop(group, None)

    def add_from_settings(self, groups: Mapping[str, Iterable[Entry]], skipped: Collection[str] = ()) -> None:
        """Resolve what the settings name.

        Args:
            groups: their entries, by name.
            skipped: the modules of plugins that are skipped; what lies in them does not count.

        Raises:
            GroupError: URIs lead to nothing, or their objects cannot be configured; all of them are reported at once.
        """
        mistakes: list[str] = []
        causes: list[BaseException] = []
        for name, entries in groups.items():
            group = name.lower()
            for entry in entries:
                if entry.uri in self._members.get(group, {}) or any(is_in(entry.uri, module) for module in skipped):
                    continue
                try:
                    self._members.setdefault(group, {})[entry.uri] = _member(group, entry)
                except Exception as error:  # noqa: BLE001 - a configure() may raise anything; all are reported together
                    text = str(error) if isinstance(error, UriError) else f"{type(error).__name__}: {error}"
                    mistakes.append(f"PLUGINS.{group}: '{entry.uri}': {text}")
                    causes.append(error.__cause__ or error)
        self._views.clear()
        if mistakes:
            many = f"{len(mistakes)} URIs of groups cannot be used: " if len(mistakes) > 1 else ""
            raise GroupError(many + "; ".join(mistakes), where="setting PLUGINS", mistakes=tuple(mistakes)) from causes[
                0
            ]

    def discard(self, module: str) -> None:
        """Take out what the plugin whose module is `module` registered, and what the settings name of it."""
        for members in (*self._registered.values(), *self._members.values()):
            for uri in [uri for uri, member in members.items() if is_in(member.home, module)]:
                del members[uri]
        self._views.clear()

    def members(self, group: str) -> tuple[Member, ...]:
        """The members of `group` in their order; of two with one URI the first."""
        group = group.lower()
        found: dict[str, Member] = {}
        for member in (*self._members.get(group, {}).values(), *self._registered.get(group, {}).values()):
            found.setdefault(member.uri, member)
        return tuple(found.values())

    def names(self) -> tuple[str, ...]:
        """The names of all groups."""
        return tuple(dict.fromkeys([*self._members, *self._registered]))

    def get(self, group: str) -> Mapping[str, Any]:
        """The objects of `group` by URI, in their order, read-only; empty where there is no such group."""
        group = group.lower()
        view = self._views.get(group)
        if view is None:
            view = MappingProxyType({member.uri: member.value for member in self.members(group)})
            self._views[group] = view
        return view


def is_in(uri: str, module: str) -> bool:
    """Whether a URI, or the name of a module, leads to `module` or into it."""
    return f"{uri.replace(':', '.')}.".startswith(f"{module}.")


def _member(group: str, entry: Entry) -> Member:
    value = resolve(entry.uri)
    if entry.factory:
        return Member(entry.uri, value(**entry.opts))
    if group == MIDDLEWARE:
        return Member(entry.uri, value, entry.opts)
    if entry.opts or (group in OF_INSTANCES and inspect.isclass(value)):
        value = configured(value, entry.opts)
    return Member(entry.uri, value)


def configured(value: Any, opts: Mapping[str, Any]) -> Any:
    """The object with the settings of its URI: by its `configure`; a class without one is instantiated with them.

    Raises:
        UriError: it takes none.
    """
    if inspect.isclass(value):
        if not hasattr(value, CONFIGURE):
            return value(**opts)
        value = value()
    elif not hasattr(value, CONFIGURE):
        raise UriError(f"has OPTS, and {kind_of(value)} without configure() takes none; FACTORY: true would call it")
    getattr(value, CONFIGURE)(**opts)
    return value


def run_each(members: Mapping[str, Callable[..., Any]], *args: Any, **kwargs: Any) -> dict[str, Outcome]:
    """Call each of `members` in order, also where an earlier one raised."""
    outcomes = {}
    for uri, member in members.items():
        try:
            outcomes[uri] = Outcome(member(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the caller gets it
            outcomes[uri] = Outcome(error=error)
    return outcomes


async def run_each_async(members: Mapping[str, Callable[..., Any]], *args: Any, **kwargs: Any) -> dict[str, Outcome]:
    """The same, awaiting what is asynchronous."""
    outcomes = {}
    for uri, member in members.items():
        try:
            result = member(*args, **kwargs)
            outcomes[uri] = Outcome(await result if inspect.isawaitable(result) else result)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            outcomes[uri] = Outcome(error=error)
    return outcomes
