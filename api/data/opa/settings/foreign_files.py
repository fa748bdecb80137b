"""What belongs to another user is not run as root only because the current folder has it."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST = 100_000
"""Files and folders that are looked at, so that no start takes for ever."""
LINKS = 40
"""As many on one way as Linux follows."""

Status = tuple[Path, os.stat_result]
"""A path, and what is there; a link itself, not what it leads to."""


@dataclass(frozen=True)
class Foreign:
    """Why root does not take a folder only because it is there.

    Attributes:
        path: what is in the way.
        why: words that follow `plugins` or `settings`.
        mend: what to do about it.
    """

    path: Path
    why: str
    mend: str


def foreign_file(folder: Path) -> Foreign | None:
    """What another user could make root run, were it to run what is in `folder`; for root alone.

    That is whatever belongs to somebody else: the folder, something at any depth in it, a link on the way, a folder
    above, in which one could put another in its place. Links are followed, as Python does.

    A process of another user runs with that user's rights, and nobody gains by it.
    """
    if os.geteuid() != 0:
        return None
    looked_at, seen, ways = 0, set[tuple[int, int]](), [folder.absolute()]
    above = set(folder.absolute().parents)
    while ways:
        end: Status | None = None
        for path, status in _way_to(ways.pop()):
            if status.st_uid != 0:
                return _foreign(path, status.st_uid, is_above=path in above)
            end = path, status
        for path, status in _all_below(end, seen):
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
        return Foreign(
            path, f"inside of a folder that belongs to {_name(uid)}", "move it to where all folders above are of root"
        )
    return Foreign(path, f"that belong to {_name(uid)}", "give it to root with chown")


def _way_to(path: Path) -> Iterator[Status]:
    """Each folder and link that the system passes on the way to `path`, and at last what is there, if something is."""
    current, links = Path(path.anchor), 0
    parts = [*reversed(path.parts[1:])]
    yield current, current.lstat()
    while parts and links <= LINKS:
        part = parts.pop()
        found = current.parent if part == ".." else current / part
        try:
            status = found.lstat()
            target = found.readlink() if stat.S_ISLNK(status.st_mode) else None
        except OSError:  # it is not there, or a link leads nowhere; whoever reads it says so
            return
        yield found, status
        if target is None:
            current = found
        else:
            links += 1
            current = Path(target.anchor or current)
            parts += reversed(target.parts[1:] if target.anchor else target.parts)


def _all_below(start: Status | None, seen: set[tuple[int, int]]) -> Iterator[Status]:
    """What lies below a folder at any depth; no link is followed.

    Args:
        start: the folder; it may be something else, below which nothing is.
        seen: the folders that were listed, by device and inode; gets those that are.
    """
    folders = [start] if start else []
    while folders:
        folder, found = folders.pop()
        if not stat.S_ISDIR(found.st_mode) or (found.st_dev, found.st_ino) in seen:
            continue
        seen.add((found.st_dev, found.st_ino))
        for each in _listed(folder):
            yield each
            if stat.S_ISDIR(each[1].st_mode):
                folders.append(each)


def _listed(folder: Path) -> Iterator[Status]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    yield Path(entry.path), entry.stat(follow_symlinks=False)
    except OSError:  # gone as well, or so deep that Python reaches nothing there either
        return


def _name(uid: int) -> str:
    try:
        return f"user '{pwd.getpwuid(uid).pw_name}'"
    except KeyError:
        return f"the user of the number {uid}"
