"""What belongs to another user is not run as root only because the current folder has it."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from opa._util.walking import Status, all_below, way_to

MOST = 100_000
"""Files and folders that are looked at, so that no start takes for ever."""


@dataclass(frozen=True)
class Foreign:
    """Why root does not take a folder only because it is there.

    Attributes:
        path: what is in the way.
        why: words that follow `plugins` or `settings`.
        remedy: what to do about it.
    """

    path: Path
    why: str
    remedy: str


def foreign_file(folder: Path) -> Foreign | None:
    """What another user could make root run, were it to run what is in `folder`; for root alone.

    That is whatever belongs to somebody else: the folder, something at any depth in it, a link on the way, the folder
    that has it, in which one could put another in its place. Links are followed, as Python does. Folders further above
    are not looked at: a home is often of somebody else, and who has it, has its root in any case.

    A process of another user runs with that user's rights, and nobody gains by it.
    """
    if os.geteuid() != 0:
        return None
    looked_at, seen, ways = 0, set[tuple[int, int]](), [folder.absolute()]
    project, *above = folder.absolute().parents
    while ways:
        way = list[Status]()
        try:
            for path, status in way_to(ways.pop()):
                if status.st_uid != 0 and path not in above:
                    return _foreign(path, status.st_uid, is_above=path == project)
                way.append((path, status))
        except OSError:  # it is not there, or a link leads nowhere; whoever reads it says so
            continue
        for path, status in all_below(way[-1], seen):
            looked_at += 1
            if status.st_uid != 0:
                return _foreign(path, status.st_uid)
            if looked_at > MOST:
                return Foreign(folder, f"of which there are more than {MOST} files", "let it hold less")
            if stat.S_ISLNK(status.st_mode):
                ways.append(path)
    return None


def _foreign(path: Path, uid: int, *, is_above: bool = False) -> Foreign:
    if is_above:
        return Foreign(path, f"inside of a folder that belongs to {_name(uid)}", "give that to root with chown")
    return Foreign(path, f"that belong to {_name(uid)}", "give it to root with chown")


def _name(uid: int) -> str:
    try:
        return f"user '{pwd.getpwuid(uid).pw_name}'"
    except KeyError:
        return f"the user of the number {uid}"
