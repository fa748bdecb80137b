"""The notes of a release: the section of its version in CHANGELOG.md."""

from __future__ import annotations

import re

from release.problem import ReleaseError

UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## \[?(?P<name>[^\s\]]+)\]?(?: .*)?$", re.MULTILINE)


def notes_of(changelog: str, version: str) -> str:
    """The text of the section, without its heading.

    Args:
        changelog: as https://keepachangelog.com has it.
        version: of the release, or `Unreleased`.

    Raises:
        ReleaseError: there is no such section, or nothing in it.
    """
    headings = list(_HEADING.finditer(changelog))
    for number, heading in enumerate(headings):
        if heading["name"] == version:
            end = headings[number + 1].start() if number + 1 < len(headings) else len(changelog)
            if text := changelog[heading.end() : end].strip():
                return f"{text}\n"
            raise ReleaseError(f"the section {version} of CHANGELOG.md is empty: say there what is new")
    raise ReleaseError(
        f"CHANGELOG.md has no section {version}: call the section Unreleased '## {version} - YYYY-MM-DD',"
        " or try the build with ARGS=--unreleased"
    )
