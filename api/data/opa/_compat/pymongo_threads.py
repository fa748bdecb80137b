"""What pymongo does when Python ends. Nothing is imported for it where pymongo was not."""

from __future__ import annotations

import atexit
import sys

MODULES = ("pymongo.synchronous.monitor", "pymongo.asynchronous.monitor")


def leave_idle_threads() -> None:
    """Let Python end without the threads of pymongo, which it waits for: they look each half second whether to end.

    They are daemon threads, and those of a client that is closed do nothing else any more.
    """
    for name in MODULES:
        module = sys.modules.get(name)
        if module is not None:
            atexit.unregister(module._shutdown_resources)
