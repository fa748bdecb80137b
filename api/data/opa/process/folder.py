"""The folder `.opa`, where the servers of `opa up` keep their data and passwords. No other user looks into it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from opa._util.walking import all_below
from opa.errors import StartError

NAME = ".opa"
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
FOR_OTHERS = 0o077
HINT = "Remove it, or run opa up in another folder"
# The servers of a run that has just ended may still be writing.
LOCK_TIMEOUT = 5.0
POLL_INTERVAL = 0.1
MAX_PID_BYTES = 20


@contextmanager
def locked_folder(project: Path) -> Iterator[tuple[Path, int]]:
    """The folder `.opa` in `project`, which is made where it is missing, and the file descriptor of its lock.

    The lock lasts as long as the descriptor: a server that inherits it protects its data from a second server, also
    after the process that started it was killed.

    Raises:
        StartError: another run has the lock, or the folder is not one that only this user can enter, or another user
            has put something into it.
    """
    folder = project / NAME
    _make_private(folder)
    write_private(folder / ".gitignore", "*\n")
    file = folder / "lock"
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
    except OSError as error:
        raise _unwritable(file, error) from None
    try:
        _lock(lock, file)
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield folder, lock
    finally:
        os.close(lock)


def second_run(process: int | str, file: Path, url: str = "") -> StartError:
    """What says that an `opa up` runs already.

    Args:
        process: its process id.
        file: in the folder, by which that is known.
        url: of its api, where it is known.
    """
    place = f", at {url}" if url else ""
    return StartError(
        f"opa up runs in this folder already (process {process}){place}",
        where=str(file),
        hint="Stop that one, or run this one in another folder",
    )


def refuse_deleted(folder: Path, lock: int) -> None:
    """See that nobody has deleted the folder since it was locked.

    Raises:
        StartError: it was deleted, so that the servers have no data and the next opa up would not see this one.
    """
    if os.fstat(lock).st_nlink == 0:
        raise StartError(
            "the folder was deleted while opa up runs, and with it the data of its servers",
            where=str(folder),
            hint="Start it again, with a new folder; to begin without data, end opa up before you delete it",
        )


def write_private(file: Path, text: str) -> None:
    """Write a file that only this user reads, see `new_private`.

    Raises:
        StartError: it cannot be written.
    """
    try:
        with new_private(file) as new:
            new.write(text.encode())
    except OSError as error:  # such as a disk that is full
        raise _unwritable(file, error) from None


def new_private(file: Path) -> BinaryIO:
    """A new file that only this user reads, to write to, in the place of what may be there; no link is followed.

    Raises:
        StartError: it cannot be made.
    """
    try:
        file.unlink(missing_ok=True)
        return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb")
    except OSError as error:
        raise _unwritable(file, error) from None


def _unwritable(file: Path, error: OSError) -> StartError:
    hint = "Free some space" if error.errno == errno.ENOSPC else HINT
    return StartError(f"{file.name} cannot be written: {error.strerror}", where=str(file), hint=hint)


def _make_private(folder: Path) -> None:
    """Make the folder, or take away what others may do in one that is there.

    Raises:
        StartError: it is of another user, a link, or no folder, or cannot be made, or the file system knows no
            permissions.
    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError:
        pass
    except OSError as error:
        problem = f"{NAME} cannot be created: {error.strerror}"
        raise StartError(problem, where=str(folder), hint="Run opa up in a folder that you may write to") from None
    try:
        # Opened once, so that what is checked and what is changed are the same.
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EACCES):
            raise
        raise _refusal(folder) from None
    try:
        status = os.fstat(opened)
        if status.st_uid != os.geteuid():
            raise _refusal(folder)
        mode = stat.S_IMODE(status.st_mode)
        if mode != PRIVATE_FOLDER:
            with contextlib.suppress(PermissionError):
                os.fchmod(opened, PRIVATE_FOLDER)
            if os.fstat(opened).st_mode & FOR_OTHERS:
                raise _refusal(folder)
        # Now that no other user can enter any more.
        planted = _planted(folder, status, was_open=bool(mode & FOR_OTHERS))
        if planted is not None:
            os.fchmod(opened, mode)  # the next run looks as closely
            raise planted
    finally:
        os.close(opened)


def _planted(folder: Path, status: os.stat_result, *, was_open: bool) -> StartError | None:
    """What says that another user has put something into the folder, for servers to write to.

    Args:
        folder: it.
        status: what the system says of it.
        was_open: whether others could enter it.
    """
    for path, found in all_below((folder, status), set()):
        if found.st_uid != os.geteuid():
            problem = f"belongs to another user (uid {found.st_uid})"
        elif not was_open or stat.S_ISDIR(found.st_mode):
            continue
        elif stat.S_ISLNK(found.st_mode):
            problem = "is a link"
        elif not stat.S_ISREG(found.st_mode):
            problem = "is not a regular file"
        elif found.st_nlink > 1:
            problem = "is a file that has another name elsewhere"
        else:
            continue
        name = path.relative_to(folder.parent)
        why = f", and others could enter {NAME}" if was_open else ""
        return StartError(f"{name} {problem}{why}", where=str(path), hint=HINT)
    return None


def _refusal(folder: Path) -> StartError:
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        problem = f"{NAME} is a link to somewhere else"
    elif not stat.S_ISDIR(status.st_mode):
        problem = f"{NAME} is not a folder"
    elif status.st_uid != os.geteuid():
        problem = f"{NAME} belongs to another user (uid {status.st_uid}), who could read the passwords of the servers"
    elif status.st_mode & FOR_OTHERS:
        problem = f"{NAME} cannot be closed to other users on this file system"
    else:
        problem = f"{NAME} cannot be opened"
    return StartError(problem, where=str(folder), hint=HINT)


def _lock(lock: int, file: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(lock, MAX_PID_BYTES, 0).decode() or "unknown"
                raise second_run(holder, file) from None
            time.sleep(POLL_INTERVAL)
        else:
            return
