"""The folder in which the processes of a service keep what they count, for each other to read."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from opa.logging.logger import log
from opa.process.extras import need
from opa.process.shared_memory import shared_memory

if TYPE_CHECKING:
    from opa.settings.load import Config

VARIABLE = "METRICS_FOLDER"
"""Names it for the processes that this one starts; a user may name one too."""
PREFIX = "opa-metrics-"
LOCK = "service"
SETTLED_AFTER = 60.0
"""Seconds after which a folder without a lock is nobody's that is about to begin."""


def begin_metrics(config: Config) -> None:
    """Make the folder, where METRICS is true; it goes with this process.

    It outlives the processes that this one starts, also after a reload, so that no count goes down.

    Raises:
        StartError: `prometheus_client` is not installed.
    """
    if not config.METRICS:
        os.environ.pop(VARIABLE, None)
        return
    need("prometheus_client", by="the setting METRICS", extra="metrics", otherwise="set METRICS to false")
    named = os.environ.get(VARIABLE)
    try:
        if named:
            Path(named).mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        place = Path(shared_memory() or tempfile.gettempdir())
        _remove_left_behind(place)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        # Held by this process and its forks: the kernel lets go of it when the last is gone.
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        log.warning(f"METRICS has no folder to write to ({error}): each process answers with what it has counted alone")
        return
    os.environ[VARIABLE] = str(folder)
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(place: Path) -> None:
    """Remove the folders of services that were killed."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left_behind(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > SETTLED_AFTER
    return True
