"""Which `opa up` runs in a folder, and where its servers are: told to the commands of another terminal.

It stands in `.opa/running.json`. The process holds a lock on the file as long as it lives, and the kernel takes the
lock away when it ends, however that comes about. A file without the lock is left over, and never believed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opa.process.folder import NAME, second_run

FILE = "running.json"
NETWORK = Path("/proc/self/ns/net")

logger = logging.getLogger("opa.local")


@dataclass(frozen=True)
class Running:
    """An `opa up`, as others may know it.

    Attributes:
        process: its process id.
        env: its environment variable `ENV`.
        settings: what it hands down, by dotted name: the options that point at its servers, and defaults of its own.
        network: where its loopback addresses mean something, see `current_network`.
        url: of its api.
    """

    process: int
    env: str
    settings: Mapping[str, Any]
    network: str
    url: str = ""

    @property
    def source(self) -> str:
        """What it is called as a source of settings."""
        return f"opa up (process {self.process})"


@contextmanager
def published(running: Running, folder: Path) -> Iterator[None]:
    """Let `find_running` find it, while the block runs.

    Args:
        folder: the folder `.opa`, whose lock this process has.
    """
    file, new = folder / FILE, folder / f"{FILE}.new"
    new.unlink(missing_ok=True)
    # Not inherited by the servers, which may live for a moment longer.
    lock = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, json.dumps(asdict(running)).encode())
        # Anyone who opens the file finds it whole and locked.
        new.replace(file)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
    finally:
        os.close(lock)


def find_running(project: Path) -> Running | None:
    """The `opa up` that runs in the folder `project`, if one does, and if this process can reach its servers.

    One of another user is left alone, with a warning: whose servers they are is theirs to say. So is one of another
    version of opa-stack, which went on running when this one was installed.
    """
    file = project / NAME / FILE
    try:
        with os.fdopen(_opened(project), "rb") as opened:
            if os.fstat(opened.fileno()).st_uid != os.geteuid():
                raise PermissionError
            if not _is_locked(opened.fileno()):
                return None
            running = Running(**json.load(opened))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        logger.warning("%s is of another user; the servers of that opa up are not used", file)
        return None
    except (ValueError, TypeError):
        logger.warning("%s is of another version of opa-stack; its servers are found once it is restarted", file)
        return None
    return running if running.network == current_network() else None


def refuse_second(project: Path) -> None:
    """See that no `opa up` runs in the folder: its port is taken, and who asks for another one is none the wiser.

    Raises:
        StartError: one does.
    """
    if (running := find_running(project)) is not None:
        raise second_run(running.process, project / NAME / FILE, running.url)


def _opened(project: Path) -> int:
    """The file, to read; not behind a link, and no pipe that one would wait for."""
    folder = os.open(project / NAME, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        file = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError from error
        raise
    finally:
        os.close(folder)
    return file


def current_network() -> str:
    """What tells the network of this process from that of a container with the same files; empty where unknown."""
    try:
        return str(NETWORK.readlink())
    except OSError:
        return ""


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
