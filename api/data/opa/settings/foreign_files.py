"""What belongs to another user is not run as root only because the current folder has it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path


def foreign_file(folder: Path) -> tuple[Path, str] | None:
    """The first of `folder` and what lies in it that does not belong to root, and its owner; for root alone.

    A process of another user runs with that user's rights, and nobody gains by it.
    """
    if os.geteuid() != 0:
        return None
    for path in _with_entries(folder):
        try:
            owner = path.stat().st_uid
        except OSError:  # a link that leads nowhere; whoever reads it says so
            continue
        if owner != 0:
            return path, _name(owner)
    return None


def _with_entries(folder: Path) -> Iterator[Path]:
    yield folder
    try:
        yield from sorted(folder.iterdir())
    except OSError:  # as above
        return


def _name(uid: int) -> str:
    try:
        return f"user '{pwd.getpwuid(uid).pw_name}'"
    except KeyError:
        return f"the user of the number {uid}"
