"""SIGTERM for what is no server: by default, it ends a process before anything in it is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM


@contextmanager
def terminated_as_by_ctrl_c() -> Iterator[None]:
    """In the block, SIGTERM does what Ctrl-C does, and the block is left with the exit status of SIGTERM.

    Without effect where SIGTERM is ignored or has another handler, and in another thread than the main one, which
    cannot set handlers.

    Raises:
        SystemExit: the status is 143, in the end of a block in which it came.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    has_come = False

    def interrupt(*_: object) -> None:
        nonlocal has_come
        has_come = True
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if has_come:
            raise SystemExit(STATUS)
