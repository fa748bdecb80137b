"""The text of `plugins.lock`: a requirements file with hashes, and a head that says what it was made for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.distributions import ConditionError, applies_here, canonical_name
from opa._util.reading import UnreadableError, read_text
from opa.errors import PackagesError
from opa.loading.package_lock import INSTALL, LOCK, NEED, needs_in
from opa.packages.needs import Need

if TYPE_CHECKING:
    from packaging.requirements import Requirement

HEAD = f"""\
# The packages that plugins need beside those of opa-stack. Written by `opa deps`, installed by `{INSTALL}`; not to be
# edited: run `opa deps` again when a plugin needs something else.
"""
REMEDY = "Make it again: remove it, and run opa deps"
NOTHING = "# No plugin needs a package.\n"
_HASH = re.compile(r"--hash=[a-z0-9]+:[0-9a-fA-F]+")


@dataclass(frozen=True)
class Pin:
    """A package of a lock.

    Attributes:
        requirement: name, version, and where it is needed.
        lines: how it stands in the lock.
        is_for_here: whether this Python, on this platform, needs it.
    """

    requirement: Requirement
    lines: str
    is_for_here: bool

    @property
    def name(self) -> str:
        """Its name, as all its spellings have it."""
        return canonical_name(self.requirement.name)

    @property
    def version(self) -> str:
        """Its version."""
        return next(iter(self.requirement.specifier)).version

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def head_for(needs: Iterable[Need], python: str) -> str:
    """The head of a lock: by what, for which Python, for which needs of which plugins."""
    plugins: dict[str, list[str]] = {}
    for need in needs:
        plugins.setdefault(need.text, []).append(need.by)
    lines = [f"{NEED}{text}  # {', '.join(sorted(set(names)))}\n" for text, names in sorted(plugins.items())]
    return f"{HEAD}# python: {python} or later\n{''.join(lines) or NOTHING}"


def read_lock(file: Path) -> str:
    """The text of a lock.

    Raises:
        PackagesError: there is none, it cannot be read, or it has something that `opa deps` does not write.
    """
    try:
        text = read_text(file)
    except UnreadableError as error:
        problem = f"there is no {LOCK}" if error.is_missing else f"{LOCK} {error}"
        hint = "Make it with opa deps" if error.is_missing else REMEDY
        raise PackagesError(problem, where=str(file), hint=hint) from None
    pins_in(text, str(file))
    return text


def pins_in(text: str, where: str = LOCK) -> tuple[Pin, ...]:
    """The packages of a lock, for all platforms.

    Raises:
        PackagesError: it has something that `opa deps` does not write, such as a package without a hash.
    """
    return tuple(_pin(lines, number, where) for number, lines in _entries(text))


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Each package as it stands there, without comments, with the number of its line."""
    entry, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not entry and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = start if entry else number
        entry += f"{line}\n"
        if not line.endswith("\\"):
            yield start, entry
            entry = ""
    if entry:
        yield start, entry


def _pin(lines: str, number: int, where: str) -> Pin:
    from packaging.requirements import InvalidRequirement, Requirement

    words = lines.replace("\\\n", " ")
    hashes = _HASH.findall(words)
    try:
        requirement = Requirement(_HASH.sub("", words).strip())
        is_for_here = applies_here(requirement)
    except (InvalidRequirement, ConditionError, RecursionError):
        requirement = None
    pins = [] if requirement is None else [each for each in requirement.specifier if each.operator == "=="]
    if requirement is None or not hashes or requirement.url or len(pins) != 1 or "*" in pins[0].version:
        raise PackagesError(
            f"{LOCK} has '{words.strip()[:60]}', which is no NAME==VERSION with hashes",
            where=f"{where}:{number}",
            hint=REMEDY,
        )
    return Pin(requirement, lines, is_for_here)


def unlocked(needs: Iterable[Need], text: str) -> tuple[Need, ...]:
    """The needs that a lock was not made for."""
    known = needs_in(text)
    return tuple(need for need in needs if need.text not in known)


def unneeded(needs: Iterable[Need], text: str) -> tuple[str, ...]:
    """What a lock was made for, and nobody needs any more."""
    return tuple(sorted(needs_in(text) - {need.text for need in needs}))


def differences(before: str, after: str) -> Sequence[str]:
    """What has changed between two locks: `+ name 1.0`, `- name 1.0`, `name 1.0 -> 1.1`."""
    old, new = ({str(pin.name): pin.version for pin in pins_in(text)} for text in (before, after))
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"+ {name} {new[name]}")
        elif name not in new:
            lines.append(f"- {name} {old[name]}")
        elif old[name] != new[name]:
            lines.append(f"{name} {old[name]} -> {new[name]}")
    return lines
