"""What the settings ACCESS and ACCESS_DEFAULT require, by path and by plugin."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from opa._util.suggestions import nearest
from opa.errors import SettingsError
from opa.settings.access import EVERYTHING_ELSE, OPEN, SIGNED_IN
from opa.settings.oidc_providers import callback_path, start_path

if TYPE_CHECKING:
    from opa.settings.load import Config

Segments = tuple[str, ...]
RuleOfPath = TypeVar("RuleOfPath")

# What lets one path be read in several ways.
_AMBIGUOUS = re.compile(r"//|/\.|[\\%\n]")
_MAX_DECODINGS = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may.

    Attributes:
        is_open: whether anybody may.
        scopes: what is needed where not.
    """

    is_open: bool
    scopes: tuple[str, ...] = ()


IS_OPEN = Rule(True)
IS_SIGNED_IN = Rule(False)


def rule_from_setting(value: str | Iterable[str]) -> Rule:
    """The rule that a value of ACCESS stands for."""
    if isinstance(value, str):
        return {OPEN: IS_OPEN, SIGNED_IN: IS_SIGNED_IN}.get(value) or Rule(False, (value,))
    return Rule(False, tuple(value))


def strictest(rules: Iterable[Rule]) -> Rule:
    """The rule that only those meet who meet all of `rules`."""
    closed = [rule for rule in rules if not rule.is_open]
    if not closed:
        return IS_OPEN
    return Rule(False, tuple(dict.fromkeys(scope for rule in closed for scope in rule.scopes)))


class Rules:
    """Those of one application.

    Attributes:
        by_plugin: for the names of plugins.
        by_path: for paths, which are tuples of segments.
        otherwise: for what has none.
        always_open: paths that are open whatever the others say, and nothing below them: where one signs in.
    """

    def __init__(
        self, access: Mapping[str, str | Iterable[str]], default: str, always_open: Iterable[str] = ()
    ) -> None:
        rules = {key: rule_from_setting(value) for key, value in access.items()}
        self.otherwise = rules.pop(EVERYTHING_ELSE, IS_OPEN if default == OPEN else IS_SIGNED_IN)
        self.by_path = Paths({segments_of(key): rule for key, rule in rules.items() if key.startswith("/")})
        self.by_plugin = {key: rule for key, rule in rules.items() if not key.startswith("/")}
        self.always_open = frozenset(map(segments_of, always_open))
        self._lengths_of_open = frozenset(map(len, self.always_open))

    @classmethod
    def from_config(cls, config: Config) -> Rules | None:
        """Those of the settings; None where they leave everything open."""
        rules = cls(config.ACCESS, config.ACCESS_DEFAULT, _pages_to_sign_in(config))
        return rules if rules.require_anything else None

    @property
    def require_anything(self) -> bool:
        """Whether they close anything."""
        return not all(rule.is_open for rule in (self.otherwise, *self.by_path.values(), *self.by_plugin.values()))

    def check_plugins(self, known: Collection[str]) -> None:
        """See that there are the plugins that they name: one that is misspelt would be as open as it was.

        Raises:
            SettingsError: there is one that is not known.
        """
        check_plugins("ACCESS", self.by_plugin, known)

    def for_request(self, path: str, plugins: Callable[[], Collection[str]]) -> Rule:
        """The rule for a request.

        Args:
            path: as it is routed.
            plugins: gives the names of those whose route it is; called only where the path does not decide.
        """
        found = [self.for_path(reading) for reading in readings(path)]
        if path.endswith("\n"):  # what is behind a mount may then see another path, see Starlette's `Mount.matches`
            found += self.by_path.values()
        if None in found:
            found.append(self._for_plugins(plugins() if self.by_plugin else ()))
        return strictest(rule for rule in found if rule is not None)

    def for_path(self, segments: Segments) -> Rule | None:
        """The rule for the longest path that `segments` are, or are below; None where there is none."""
        # By the length first: a path may be very long.
        if len(segments) in self._lengths_of_open and segments in self.always_open:
            return IS_OPEN
        return self.by_path.longest(segments)

    def _for_plugins(self, plugins: Collection[str]) -> Rule:
        if not plugins:
            return self.otherwise
        return strictest(self.by_plugin.get(name, self.otherwise) for name in plugins)


def _pages_to_sign_in(config: Config) -> Iterator[str]:
    if config.USERS or config.OIDC_PROVIDERS:
        yield from (config.SIGN_IN_URL, config.SIGN_OUT_URL)
    for name in config.OIDC_PROVIDERS:
        yield from (start_path(config.SIGN_IN_URL, name), callback_path(config.SIGN_IN_URL, name))


def check_plugins(setting: str, names: Iterable[str], known: Collection[str]) -> None:
    """See that there are the plugins that the keys of a setting name.

    Raises:
        SettingsError: there is one that is not known.
    """
    unknown = [name for name in names if name not in known]
    mistakes = tuple(f"{setting}: there is no plugin '{name}'{_meant(name, known)}" for name in unknown)
    if mistakes:
        raise SettingsError("; ".join(mistakes), where=f"setting {setting}", mistakes=mistakes)


class Paths(dict[Segments, RuleOfPath]):
    """What stands for some paths, and for all that is below them."""

    def __init__(self, by_path: Mapping[Segments, RuleOfPath]) -> None:
        super().__init__(by_path)
        self._lengths = sorted({len(path) for path in by_path}, reverse=True)

    def longest(self, segments: Segments) -> RuleOfPath | None:
        """What stands for the longest path that `segments` are, or are below; None where there is none."""
        # Only as long as a path here can be: a client may send one of 30,000 segments.
        return next((rule for count in self._lengths if (rule := self.get(segments[:count])) is not None), None)


def segments_of(path: str) -> Segments:
    """The segments of a path, without a slash at its end."""
    return tuple(path.removeprefix("/").removesuffix("/").split("/")) if path != "/" else ()


def readings(path: str) -> Iterator[Segments]:
    """All ways in which `path` may be read by a route, by static files, or by an application that is mounted.

    Files are looked up without empty segments and dots, the pattern of a route lets a line feed stand at the end, and
    what is behind a mount may decode the path once more.
    """
    yield segments_of(path)
    if not _AMBIGUOUS.search(path):
        return
    for _ in range(_MAX_DECODINGS):
        without_line_feed = path.removesuffix("\n")
        yield segments_of(without_line_feed)
        for text in (without_line_feed, without_line_feed.replace("\\", "/")):
            yield _resolved(segment for segment in text.split("/") if segment)
            yield _resolved(text.split("/")[1:])
        decoded = unquote(path)
        if decoded == path:
            return
        path = decoded


def _resolved(segments: Iterable[str]) -> Segments:
    """The segments without dots: two of them take back the one before, which may be an empty one."""
    found: list[str] = []
    for segment in segments:
        if segment == "..":
            del found[-1:]
        elif segment != ".":
            found.append(segment)
    return tuple(filter(None, found))


def _meant(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f"; '{near}' is meant, perhaps" if near else ""
