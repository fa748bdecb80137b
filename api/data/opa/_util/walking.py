"""What lies on the way to a path, and below it: each as it is itself, so that a link is a link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

MAX_LINKS = 40
"""As many on one way as Linux follows."""

Status = tuple[Path, os.stat_result]
"""A path, and what is there; a link itself, not what it leads to."""


def way_to(path: Path) -> Iterator[Status]:
    """Each folder and link that the system passes on the way to `path`, and at last what is there.

    Raises:
        OSError: nothing is there.
    """
    current, links = Path(path.anchor), 0
    parts = [*reversed(path.parts[1:])]
    yield current, current.lstat()
    while parts:
        part = parts.pop()
        found = current.parent if part == ".." else current / part
        status = found.lstat()
        target = found.readlink() if stat.S_ISLNK(status.st_mode) else None
        yield found, status
        if target is None:
            current = found
        else:
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            current = Path(target.anchor or current)
            parts += reversed(target.parts[1:] if target.anchor else target.parts)


def all_below(start: Status, seen: set[tuple[int, int]]) -> Iterator[Status]:
    """What lies below a folder at any depth, without a call for each level; no link is followed.

    Args:
        start: the folder; it may be something else, below which nothing is.
        seen: the folders that were listed, by device and inode; gets those that are.
    """
    folders = [start]
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
