"""A start that another thread makes, while the main thread sees to it that the process can be told to stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from opa.core.start_waits import STOP_LIMIT, words_for_end
from opa.current import current
from opa.logging.logger import log

POLL_INTERVAL = 0.1


def has_started(
    started: Future[Any], *, is_told_to_stop: Callable[[], bool], cancel: Callable[[], object], cleanup_limit: float
) -> bool:
    """Wait until the process has started; false where it was told to stop before that.

    Then something may still block in the other thread, which must not keep the process from ending.

    Args:
        started: done when it has started, or when that has failed and all that had started has been stopped.
        is_told_to_stop: whether the start is to be given up.
        cancel: gives it up, as far as that can be done; called once.
        cleanup_limit: seconds, beyond `STOP_LIMIT`, for what has started to stop.

    Raises:
        BaseException: why it could not start.
    """
    while not is_told_to_stop():
        if wait([started], POLL_INTERVAL).done:
            started.result()
            return True
    since = time.monotonic()
    cancel()
    while not wait([started], POLL_INTERVAL).done:
        passed = time.monotonic() - since
        step = current.start_step
        if passed > STOP_LIMIT and step:
            log.error(f"process {os.getpid()}: {words_for_end(step)}")
            break
        if passed > STOP_LIMIT + cleanup_limit:
            log.error("told to stop while it starts, the process does not stop what has started, and is ended")
            break
    return False
