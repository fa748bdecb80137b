"""What opa-stack itself needs, as it is installed: what no plugin may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

from opa._util.distributions import ConditionError, applies_here, canonical_name
from opa.loading.own_extras import (
    OWN,
    extras_of,
    find_distribution,
    is_for_here,
    own_distribution,
    requirements_of_extra,
)

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def requirements_of(distribution: Distribution, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """What an installed package needs here, with some of its extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    chosen = [canonical_name(extra) for extra in extras]
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
            is_needed = any(applies_here(requirement, extra) for extra in ("", *chosen))
        except (InvalidRequirement, ConditionError):  # of an old package; nothing can be said about it
            continue
        if is_needed:
            yield requirement


@dataclass
class OwnPackages:
    """The packages that opa-stack needs.

    Attributes:
        always: the names of those that it needs without any extra.
        versions: the installed version of each of these, and of those of each extra that is installed.
        ranges: what asks for them, such as `starlette>=1.10`.
        extras: what each extra of opa-stack stands for.
    """

    always: frozenset[str] = frozenset()
    versions: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
    extras: dict[str, list[Requirement]] = field(default_factory=dict)

    def meets(self, requirement: Requirement) -> bool:
        """Whether a requirement is met wherever opa-stack is: in the versions that it is resolved with, at least."""
        return canonical_name(requirement.name) in self.always and not requirement.extras

    def told(self, name: str) -> str:
        """What opa-stack needs of a package, in words that follow its name."""
        return f"{self.ranges.get(name, name)}, of which {self.versions[name]} is installed"


def own_packages() -> OwnPackages:
    """What opa-stack needs.

    Raises:
        PackagesError: opa-stack is not installed as a package.
    """
    own = own_distribution()
    found, seen = OwnPackages(), set[tuple[str, frozenset[str]]]()
    found.ranges[OWN], found.versions[OWN] = OWN, own.version
    _add(requirements_of(own), found, seen)
    found.always = frozenset(found.versions)
    for extra in extras_of(own):
        anywhere = list(requirements_of_extra(own, extra))
        found.extras[extra] = anywhere
        of_extra = [each for each in anywhere if is_for_here(each)]
        if of_extra and all(find_distribution(each.name, everywhere=False) for each in of_extra):
            _add(of_extra, found, seen)
    return found


def _add(requirements: Iterable[Requirement], found: OwnPackages, seen: set[tuple[str, frozenset[str]]]) -> None:
    """Add packages, and what these need in turn; not what was seen, for one has to read the metadata of each."""
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name, extras = canonical_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        distribution = find_distribution(name, everywhere=False)
        if distribution is None:
            continue
        if name not in found.versions:
            found.versions[name] = distribution.version
            found.ranges[name] = f"{name}{requirement.specifier}"
        waiting += requirements_of(distribution, extras)
