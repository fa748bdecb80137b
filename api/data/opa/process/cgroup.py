"""How much CPU time the cgroup of this process grants, as `docker run --cpus` and Kubernetes limits set it.

The kernel's documentation: Documentation/admin-guide/cgroup-v2.rst (cpu.max),
Documentation/scheduler/sched-bwc.rst (v1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MOUNT = "sys/fs/cgroup"


def cpu_limit(root: Path = Path("/")) -> float | None:
    """CPUs by quota, such as 1.5: the least of the cgroup and those around it; None without a quota.

    Args:
        root: below which /proc and /sys are looked for.
    """
    return min(_limits(root), default=None)


def _limits(root: Path) -> Iterator[float]:
    for line in _read(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            for folder in _upwards(root / MOUNT, path):
                quota, _, period = _read(folder / "cpu.max").partition(" ")
                yield from _quotient(quota, period)
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / MOUNT / "cpu", path):
                yield from _quotient(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """The cgroup and those around it. In a container `path` may be the host's, and only the mount there."""
    folder = mount / path.strip("/")
    while folder != mount:
        yield folder
        folder = folder.parent
    yield mount


def _quotient(quota: str, period: str) -> Iterator[float]:
    """No quota is `max` in v2 and -1 in v1; a file that is not there reads as nothing."""
    if quota.strip().isdecimal() and period.strip().isdecimal() and int(period) > 0:
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # not Linux, another version of cgroups, or a sandbox without them: then there is no quota to see
        return ""
