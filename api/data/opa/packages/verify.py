"""Whether what plugins need is installed, together with what that needs in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

from opa._util.distributions import ConditionError, applies_here, canonical_name
from opa._util.sources import from_here
from opa.errors import PackagesError
from opa.loading.own_extras import find_distribution, is_for_here, stands_for
from opa.packages.needs import Need
from opa.packages.own import requirements_of

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True)
class Missing:
    """A package that is not there as a plugin needs it.

    Attributes:
        need: the need of a plugin because of which it is needed.
        problem: what is wrong, in words that follow `plugin 'x'`.
    """

    need: Need
    problem: str

    def __str__(self) -> str:
        return f"plugin '{self.need.plugin}' {self.problem}"


def missing(needs: Iterable[Need]) -> tuple[Missing, ...]:
    """What is not installed, or in another version than it is needed; of each need the first that is found."""
    return tuple(found for need in needs if (found := _missing(need)) is not None)


def told_together(absent: Iterable[Missing]) -> tuple[str, ...]:
    """Each as a sentence; those that a plugin misses because of the same extra are one."""
    groups: dict[tuple[str, str], list[Missing]] = {}
    for each in absent:
        asked = str(each.need.asked) if each.need.through else each.need.text
        groups.setdefault((each.need.plugin, asked), []).append(each)
    return tuple(
        f"{found[0] if len(found) == 1 else _told_as_one(found, asked)} ({from_here(found[0].need.where)})"
        for (_, asked), found in groups.items()
    )


def _told_as_one(found: Sequence[Missing], asked: str) -> str:
    texts = ", ".join(each.need.text for each in found)
    return f"plugin '{found[0].need.plugin}' needs {asked}, of which these are not installed, or not as needed: {texts}"


def _missing(need: Need) -> Missing | None:
    try:
        if not applies_here(need.requirement):
            return None
    except ConditionError as error:
        return Missing(need, f"needs {need.text}, {error}")
    seen: set[str] = set()
    waiting = [(need.requirement, f"needs {need.text}{need.through}")]
    while waiting:
        requirement, path = waiting.pop(0)
        text = f"{canonical_name(requirement.name)}{sorted(requirement.extras)}{requirement.specifier}"
        if text in seen:
            continue
        seen.add(text)
        distribution = find_distribution(requirement.name)
        if distribution is None:
            return Missing(need, f"{path}, which is not installed")
        if not requirement.specifier.contains(distribution.version, prereleases=True):
            return Missing(need, f"{path}, and {distribution.version} is installed in {_place(distribution)}")
        try:
            waiting += [(each, f"{path}, which needs {_short(each)}") for each in _needed_by(distribution, requirement)]
        except PackagesError as error:
            return Missing(need, f"{path}, which needs {error.problem}")
    return None


def _needed_by(distribution: Distribution, requirement: Requirement) -> Iterator[Requirement]:
    for each in requirements_of(distribution, requirement.extras):
        yield from filter(is_for_here, stands_for(each))  # also of a package that is made for opa-stack


def _short(requirement: Requirement) -> str:
    """A requirement without its condition."""
    return str(requirement).partition(";")[0].strip()


def _place(distribution: Distribution) -> str:
    return str(distribution.locate_file(""))
