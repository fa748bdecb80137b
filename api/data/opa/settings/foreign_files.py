"""What another user can change is not run as root only because the current folder has it."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from opa._util.walking import Status, all_below, way_to

MAX_FILES = 100_000
"""Files and folders that are looked at, so that no start takes forever."""


class Foreign(NamedTuple):
    """Why root does not take a folder only because it is there.

    Attributes:
        path: what is in the way.
        why: words that follow `plugins` or `settings`.
        remedy: what to do about it.
    """

    path: Path
    why: str
    remedy: str


class _Why(NamedTuple):
    of_many: str
    of_one: str
    remedy: str


def foreign_file(folder: Path) -> Foreign | None:
    """What another user could make root run, were it to run what is in `folder`; for root alone.

    That is whatever belongs to someone else or is writable for everyone: the folder, something at any depth in it, a
    link on the way, the folder that has it, in which one could put another in its place. Links are followed, as Python
    does. Folders further above are not looked at: a home is often of someone else, and who has it, has its root in any
    case. Nor are groups: who is in root's is trusted.

    A process of another user runs with that user's rights, and gains none by it.
    """
    if os.geteuid() != 0:
        return None
    looked_at, seen, ways = 0, set[tuple[int, int]](), [folder.absolute()]
    project, *above = folder.absolute().parents
    while ways:
        way, is_there = list[Status](), False
        with suppress(OSError):  # else it is not there, or a link leads nowhere; reading it says so
            way.extend(way_to(ways.pop()))
            is_there = True
        for path, status in way:
            is_end = is_there and path == way[-1][0]
            if path not in above and (why := _why(status, is_on_the_way=not is_end)):
                return _foreign(path, why, is_above=path == project)
        if not is_there:
            continue
        for path, status in all_below(way[-1], seen):
            looked_at += 1
            if why := _why(status):
                return _foreign(path, why)
            if looked_at > MAX_FILES:
                return Foreign(folder, f"from a folder with more than {MAX_FILES} files", "move other files elsewhere")
            if stat.S_ISLNK(status.st_mode):
                ways.append(path)
    return None


def _why(status: os.stat_result, *, is_on_the_way: bool = False) -> _Why | None:
    if status.st_uid != 0:
        owner = _name(status.st_uid)
        return _Why(f"that belong to {owner}", f"that belongs to {owner}", "give it to root with chown")
    kind = stat.S_IFMT(status.st_mode)
    # In a folder with the sticky bit, such as /tmp, nobody can exchange what is root's; but anybody can put something
    # beside that, also after this look. A link's mode says nothing.
    if kind == stat.S_IFDIR and status.st_mode & stat.S_ISVTX and is_on_the_way:
        return None
    if kind in (stat.S_IFREG, stat.S_IFDIR) and status.st_mode & stat.S_IWOTH:
        why = "that every user can write to"
        return _Why(why, why, "end that with chmod o-w")
    return None


def _foreign(path: Path, why: _Why, *, is_above: bool = False) -> Foreign:
    return Foreign(path, f"inside of a folder {why.of_one}" if is_above else why.of_many, why.remedy)


def _name(uid: int) -> str:
    try:
        return f"user '{pwd.getpwuid(uid).pw_name}'"
    except KeyError:
        return f"the user of the number {uid}"
