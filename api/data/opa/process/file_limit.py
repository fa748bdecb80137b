"""How many files, and so connections, this process may have open."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from opa.logging.logger import log

MAX_WANTED = 65_536
"""No more is asked for: where there is no limit at all, some programs go through all numbers up to it."""
ASSUMED_IN_USE = 64


def raise_file_limit() -> int | None:
    """Let this process have as many open files as the system lets it, and give that number; None is any."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_WANTED if hard == resource.RLIM_INFINITY else min(hard, MAX_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.debug(f"the limit of open files stays at {soft}: {error}")
    return None if soft == resource.RLIM_INFINITY else soft


def most_connections() -> int | None:
    """The connections for which there are descriptors, besides what is open and what the plugins may open."""
    limit = raise_file_limit()
    if limit is None:
        return None
    try:
        in_use = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        in_use = ASSUMED_IN_USE
    reserve = min(max(limit // 8, 64), 1024)
    return max(limit - in_use - reserve, 1)


def are_exhausted() -> bool:
    """Whether nothing more can be opened, so that new connections are closed by the event loop without a word."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return True
    return False
