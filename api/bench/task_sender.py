"""Sends no-op tasks, as many as each line of standard input says, and prints the seconds that it took.

`python -m bench.task_sender bare|stack`. They go to a queue that no worker takes tasks from.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

STAGING = "staging"


def noop_of(name: str) -> Any:
    """The task of an application."""
    if name == "bare":
        return import_module("bench.bare_tasks").noop
    from opa.bootstrap import prepare

    prepare()
    return import_module("noop").noop


def main() -> None:
    """Send until standard input ends."""
    noop = noop_of(sys.argv[1])
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            noop.apply_async(queue=STAGING)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
