"""What a requirement of opa-stack stands for: `opa-stack[mail]` is what that extra of the installed one needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

from opa._util.distributions import ConditionError, applies_here, canonical_name
from opa._util.patterns import lazy_pattern
from opa.errors import PackagesError
from opa.loading.packages_folder import PackagesFolder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OWN = "opa-stack"
_EXTRA = lazy_pattern(r'\bextra == "([^"]*)"')
_OF_EXTRA = lazy_pattern(r"""(?:\s*\band\s*)?\bextra == "[^"]*"(?:\s*\band\b(?!.*extra))?""")


def find_distribution(name: str, *, everywhere: bool = True) -> Distribution | None:
    """The installed package of this name.

    Args:
        name: in any spelling.
        everywhere: false leaves out the folder of packages for plugins.
    """
    path = [entry for entry in sys.path if everywhere or not isinstance(entry, PackagesFolder)]
    return next(iter(Distribution.discover(name=name, path=path)), None)


def own_distribution() -> Distribution:
    """That of opa-stack.

    Raises:
        PackagesError: opa-stack is not installed as a package.
    """
    own = find_distribution(OWN, everywhere=False)
    if own is None:
        raise PackagesError(
            "opa-stack is not installed as a package, so what it needs itself is not known",
            hint=f"Install it: pip install {OWN}, or pip install -e api in a clone",
        )
    return own


def extras_of(own: Distribution) -> tuple[str, ...]:
    """The names of its extras, in alphabetical order."""
    return tuple(sorted({canonical_name(extra) for extra in own.metadata.get_all("Provides-Extra") or ()}))


def requirements_of_extra(own: Distribution, extra: str) -> Iterator[Requirement]:
    """What an extra of opa-stack stands for, on any platform; of one that is made of others, what these stand for."""
    from packaging.requirements import Requirement

    for text in own.requires or ():
        requirement = Requirement(text)
        condition = str(requirement.marker or "")
        if canonical_name(extra) not in map(canonical_name, _EXTRA.findall(condition)):
            continue
        if canonical_name(requirement.name) == OWN:
            for other in sorted(requirement.extras):
                yield from requirements_of_extra(own, other)
        else:
            requirement = Requirement(str(requirement).partition(";")[0])
            yield with_condition(requirement, _OF_EXTRA.sub("", condition).strip())


def stands_for(requirement: Requirement) -> list[Requirement]:
    """What is to be installed for a requirement: for one of opa-stack what its extras need; another is itself.

    Raises:
        PackagesError: it is one of opa-stack, of another version or with an unknown extra; the message is in
            words that follow `plugin 'x' needs`.
    """
    if canonical_name(requirement.name) != OWN:
        return [requirement]
    try:
        own = own_distribution()
    except PackagesError as error:
        raise PackagesError(f"'{requirement}', and {error.problem}", hint=error.hint) from None
    if is_for_here(requirement) and not requirement.specifier.contains(own.version, prereleases=True):
        raise PackagesError(
            f"'{requirement}', and this is opa-stack {own.version}",
            hint="Install a version of the plugin, or of opa-stack, that fits",
        )
    known = extras_of(own)
    if unknown := sorted({canonical_name(extra) for extra in requirement.extras}.difference(known)):
        raise PackagesError(
            f"'{requirement}', and opa-stack has no extra '{unknown[0]}'", hint=f"Its extras: {', '.join(known)}"
        )
    condition = str(requirement.marker or "")
    found = [each for extra in sorted(requirement.extras) for each in requirements_of_extra(own, extra)]
    return list({str(each): each for each in (with_condition(each, condition) for each in found)}.values())


def is_for_here(requirement: Requirement) -> bool:
    """Whether a requirement holds for this Python on this platform; false where its condition has no answer."""
    try:
        return applies_here(requirement)
    except ConditionError:
        return False


def with_condition(requirement: Requirement, condition: str) -> Requirement:
    """A requirement with one more condition; an empty one changes nothing."""
    from packaging.requirements import Requirement

    if not condition:
        return requirement
    text, _, before = str(requirement).partition(";")
    return Requirement(f"{text}; ({before}) and ({condition})" if before.strip() else f"{text}; {condition}")
