"""A folder with packages: made anew beside the one before, and then put in its place, so that it is always whole."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from opa.errors import PackagesError
from opa.loading.packages_folder import INCOMPLETE, MARK, platform
from opa.logging.logger import log

NEW = ".opa-new-"
"""Before the name of a folder that is not whole yet; one that was left behind is removed."""
NOT_OURS = (MARK, INCOMPLETE, "lost+found")
AT_FDCWD, RENAME_EXCHANGE = -100, 2


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let no other process install into `folder`, or into an environment with that folder, while the block runs.

    Raises:
        PackagesError: it cannot be made, or read.
    """
    waits = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise unwritable(folder, error) from None
        try:
            if not waits and not _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                waits = True
                log.info(f"waiting for another installation into {folder}")
            if waits:
                _lock(lock, fcntl.LOCK_EX)
            if _is_same(lock, folder):  # and not exchanged while this waited
                yield
                return
        finally:
            os.close(lock)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):  # a file system that knows no locks
            raise
    return True


def _is_same(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except OSError:
        return False


def is_made_from(folder: Path, lock: str) -> bool:
    """Whether the folder has what this lock says, for this Python and platform, and whole."""
    return _read_mark(folder) == _mark(lock) and not (folder / INCOMPLETE).exists()


def lock_of(folder: Path) -> str:
    """The text of the lock that the folder was made from; empty where it was not made."""
    lock = _read_mark(folder).get("lock", "")
    return lock if isinstance(lock, str) else ""


def _mark(lock: str) -> dict[str, str]:
    return {"for": platform(), "lock": lock}


def _read_mark(folder: Path) -> dict[str, object]:
    try:
        mark = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def refuse_others(folder: Path) -> None:
    """See that nothing is lost when what is in the folder goes.

    Raises:
        PackagesError: it has something that `opa deps` has not put there, or cannot be read.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(folder, error) from None
    if MARK not in names and any(name not in NOT_OURS and not name.startswith(NEW) for name in names):
        raise PackagesError(
            "the folder has files that opa deps has not put there, and would remove",
            where=str(folder),
            hint="Name an empty folder, or one that does not exist yet",
        )


def replace_folder(folder: Path, lock: str, fill: Callable[[Path], None]) -> None:
    """Put a new folder in the place of `folder`, which is there; to be called with its lock.

    Args:
        folder: the place.
        lock: the text of the lock that it is made from.
        fill: puts the packages into a folder that is empty.

    Raises:
        PackagesError: it cannot be written.
        Exception: what `fill` raises; nothing has changed then.
    """
    _remove_left(folder)
    try:
        new = _new_folder(folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        fill(new)
        (new / ".lock").unlink(missing_ok=True)  # of uv, and for every user to write to
        new.chmod(folder.stat().st_mode & 0o777)
        (new / MARK).write_text(json.dumps(_mark(lock)))
        new = _put_in_place(new, folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _new_folder(folder: Path) -> Path:
    """A new folder on the same file system, beside `folder`, or inside where nothing can be put beside it."""
    if not folder.is_mount():
        with contextlib.suppress(OSError):
            return Path(mkdtemp(prefix=f"{NEW}{folder.name}-", dir=folder.parent))
    return Path(mkdtemp(prefix=NEW, dir=folder))


def _put_in_place(new: Path, folder: Path) -> Path:
    """Exchange the folders. Gives the one that is to be removed."""
    if new.parent != folder:
        if _exchange(new, folder):
            return new
        try:
            inside = Path(mkdtemp(prefix=NEW, dir=folder))
            shutil.copytree(new, inside, symlinks=True, dirs_exist_ok=True)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        new = inside
    # What cannot be exchanged, such as a volume, is changed while a file says that it is not whole.
    (folder / INCOMPLETE).touch()
    for path in sorted(folder.iterdir()):
        if path != new and path.name not in (INCOMPLETE, "lost+found"):
            _remove(path)
    for path in sorted(new.iterdir(), key=lambda path: path.name == MARK):
        path.rename(folder / path.name)
    (folder / INCOMPLETE).unlink()
    return new


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where the system can; false where they cannot be renamed at all."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        rename = getattr(library, "renameat2", None)
        names = (os.fsencode(one), os.fsencode(other))
        if rename is not None and rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
            return True
    before = other.with_name(f"{one.name}-before")
    try:
        other.rename(before)
    except OSError:  # the lower layer of an image, or a folder around it that is not ours
        return False
    one.rename(other)
    before.rename(one)
    return True


def _remove_left(folder: Path) -> None:
    """Remove what an installation has left that was killed. Nobody else has such a folder: this one has the lock."""
    with contextlib.suppress(OSError):
        for left in [*folder.glob(f"{NEW}*"), *folder.parent.glob(f"{NEW}{folder.name}-*")]:
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def unwritable(folder: Path, error: OSError) -> PackagesError:
    """The error where packages cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PackagesError(
            "the disk is full, and nothing was installed", where=str(folder), hint="Free some space, and try again"
        )
    return PackagesError(
        f"packages cannot be written: {error.strerror or error}",
        where=str(folder),
        hint="Name a folder that this user may write to",
    )
