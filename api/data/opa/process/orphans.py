"""Leave no process behind when a child is stopped.

What a child started may outlive it: debugpy's adapter does as long as a debugger is attached, and it holds
the port that the next child wants. On Linux such a process becomes ours to end; elsewhere nothing here does
anything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_INTERVAL = 0.05


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs, as process 1 of a container is anyway (prctl(2))."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """Receive SIGTERM when the parent process ends, however it does.

    Args:
        parent: process id; where it is no longer the parent, the signal is sent at once.
    """
    if sys.platform != "linux":
        return
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes  # few processes need it

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def end_orphans(*, grace: float, but: int = 0) -> int:
    """End all child processes of this process, and reap them.

    Args:
        but: process id of a child that stays.
        grace: seconds that they have to end by themselves; then SIGTERM, and after the same time again
        SIGKILL.

    Returns:
        How many had to be told.
    """
    told: set[int] = set()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            for pid in set(children()) - {but}:
                told.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        deadline = time.monotonic() + grace
        while reap_ended(but) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
    return len(told)


def children() -> list[int]:
    """Process ids of the children of this process."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:  # not Linux, or a kernel without CONFIG_PROC_CHILDREN
        return []


def reap_others(pid: int) -> None:
    """Take the status of children that have ended, but for the one with this process id."""
    for other in children():
        if other != pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(other, os.WNOHANG)


def reap_ended(but: int = 0) -> bool:
    """Take the status of children that have ended; whether some are left, other than the one with the process id."""
    if but:
        reap_others(but)
        return not {but}.issuperset(children())
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
