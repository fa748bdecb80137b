"""How many worker processes serve."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from opa.errors import StartError
from opa.process.cgroup import cpu_limit


def worker_count(environ: Mapping[str, str], setting: int | None, *, root: Path = Path("/")) -> int:
    """`WEB_CONCURRENCY`, or else the setting `WORKERS`, or else one for each CPU that the process may use.

    Args:
        environ: the environment variables.
        setting: `WORKERS`; None stands for no choice.
        root: below which /proc and /sys are looked for.

    Raises:
        StartError: `WEB_CONCURRENCY` is not a positive whole number.
    """
    return chosen_workers(environ, setting) or available_cpus(root)


def chosen_workers(environ: Mapping[str, str], setting: int | None) -> int | None:
    """The number that was asked for, or None.

    Raises:
        StartError: `WEB_CONCURRENCY` is not a positive whole number.
    """
    text = environ.get("WEB_CONCURRENCY", "").strip()
    if not text:
        return setting
    if not text.isdecimal() or int(text) < 1:
        raise StartError(
            f"'{text}' is not a number of workers",
            where="environment variable WEB_CONCURRENCY",
            hint="Set it to a whole number from 1 on, or leave it out",
        )
    return int(text)


def available_cpus(root: Path = Path("/")) -> int:
    """CPUs that the scheduler lets this process use, and no more than its cgroup's quota; at least 1.

    A quota of 1.5 CPUs counts as 2, since with one worker half a CPU would stay unused.
    """
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    limit = cpu_limit(root)
    return cpus if limit is None else max(1, min(cpus, math.ceil(limit)))
