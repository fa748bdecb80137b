"""What opa-stack itself needs, as it is installed: what no plugin may change."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

from opa._util.distributions import canonical_name
from opa.errors import PackagesError
from opa.loading.packages_folder import PackagesFolder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OWN = "opa-stack"
_OF_EXTRA = re.compile(r"""(?:\s*\band\s*)?\bextra == "[^"]*"(?:\s*\band\b(?!.*extra))?""")


def find_distribution(name: str, *, everywhere: bool = True) -> Distribution | None:
    """The installed package of this name.

    Args:
        name: in any spelling.
        everywhere: false leaves out the folder of packages for plugins.
    """
    path = [entry for entry in sys.path if everywhere or not isinstance(entry, PackagesFolder)]
    return next(iter(Distribution.discover(name=name, path=path)), None)


def requirements_of(distribution: Distribution, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """What an installed package needs here, with some of its extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    chosen = [canonical_name(extra) for extra in extras]
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # of an old package; nothing can be said about it
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *chosen)):
            yield requirement


@dataclass
class OwnPackages:
    """The packages that opa-stack needs.

    Attributes:
        always: the names of those that it needs without any extra.
        versions: the installed version of each of these, and of those of each extra that is installed.
        ranges: what asks for them, such as `starlette>=1.10`.
    """

    always: frozenset[str] = frozenset()
    versions: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)

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
    own = _own_distribution()
    found = OwnPackages()
    found.ranges[OWN], found.versions[OWN] = OWN, own.version
    _add(requirements_of(own), found)
    found.always = frozenset(found.versions)
    for extra in own.metadata.get_all("Provides-Extra") or ():
        of_extra = list(requirements_of_extra(own, extra))
        if of_extra and all(find_distribution(each.name, everywhere=False) for each in of_extra):
            _add(of_extra, found)
    return found


def requirements_of_extra(own: Distribution, extra: str) -> Iterator[Requirement]:
    """What an extra of opa-stack stands for; of one that is made of others, what these stand for."""
    without = {str(each) for each in requirements_of(own)}
    for requirement in requirements_of(own, [extra]):
        if str(requirement) in without:
            continue
        if canonical_name(requirement.name) == OWN:
            for other in sorted(requirement.extras):
                yield from requirements_of_extra(own, other)
        else:
            yield _without_extra(requirement)


def _without_extra(requirement: Requirement) -> Requirement:
    """A requirement of an extra without the condition that this is asked for."""
    from packaging.requirements import Requirement

    text, semicolon, condition = str(requirement).partition(";")
    rest = _OF_EXTRA.sub("", condition).strip()
    return Requirement(f"{text}; {rest}" if semicolon and rest else text)


def with_own_extras(requirement: Requirement) -> list[Requirement]:
    """What a requirement stands for: that of opa-stack for what its extras need, and others for themselves.

    Raises:
        PackagesError: it is one of opa-stack, of another version or with an extra that there is not.
    """
    if canonical_name(requirement.name) != OWN:
        return [requirement]
    own = _own_distribution()
    if not requirement.specifier.contains(own.version, prereleases=True):
        raise PackagesError(
            f"'{requirement}' is needed, and this is opa-stack {own.version}",
            hint="Install a version of the plugin, or of opa-stack, that fits",
        )
    known = {canonical_name(extra) for extra in own.metadata.get_all("Provides-Extra") or ()}
    if unknown := sorted({canonical_name(extra) for extra in requirement.extras} - known):
        raise PackagesError(
            f"'{requirement}' is needed, and opa-stack has no extra '{unknown[0]}'",
            hint=f"Its extras: {', '.join(sorted(known))}",
        )
    return [each for extra in sorted(requirement.extras) for each in requirements_of_extra(own, extra)]


def _own_distribution() -> Distribution:
    own = find_distribution(OWN, everywhere=False)
    if own is None:
        raise PackagesError(
            "opa-stack is not installed as a package, so that nobody can say what it needs itself",
            hint=f"Install it: pip install {OWN}, or pip install -e api in a clone",
        )
    return own


def _add(requirements: Iterable[Requirement], found: OwnPackages) -> None:
    """Add packages, and what these need in turn."""
    waiting = list(requirements)
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonical_name(requirement.name), frozenset(requirement.extras)
        distribution = find_distribution(name, everywhere=False)
        if (name, extras) in seen or distribution is None:
            continue
        seen.add((name, extras))
        found.versions.setdefault(name, distribution.version)
        found.ranges.setdefault(name, f"{name}{requirement.specifier}")
        waiting += requirements_of(distribution, extras)
