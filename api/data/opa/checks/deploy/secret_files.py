"""Secrets in files that users can read whom they are not for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.flower import FLOWER
from opa.checks.finding import Finding
from opa.settings.names import is_mapping_setting
from opa.settings.sources import PREFIX
from opa.settings.value_files import SUFFIX

MOUNTS = Path("/proc/self/mountinfo")
_OF_THIS_CONTAINER = frozenset({"tmpfs", "ramfs"})
"""Where Kubernetes, Swarm and systemd put secrets, readable by all who see them: those of one container alone."""


def open_secret_files(deployment: Deployment) -> Iterator[Finding]:
    """The files of secrets that every user can read; such as those of Compose, which are files of the machine."""
    for name, file in sorted(deployment.environ.items()):
        if _names_a_file(name) and _is_open(path := Path(os.path.realpath(file))) and not _is_of_this_container(path):
            yield Finding(
                f"{name}: every user of this machine can read {file}",
                where=f"environment variable {name}",
                hint="Let only the user or the group of the process read it: chgrp 10001 and chmod 440 for the image",
            )


def _names_a_file(name: str) -> bool:
    setting = name.removeprefix(PREFIX).removesuffix(SUFFIX)
    is_of_setting = name.startswith(PREFIX) and name.endswith(SUFFIX) and not is_mapping_setting(setting)
    return is_of_setting or name == f"{FLOWER}{SUFFIX}"


def _is_open(path: Path) -> bool:
    """Whether everybody can read it, or write it, and gets to it."""
    try:
        is_reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
        return is_reached and bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
    except OSError:
        return False  # that it is missing is said at the start


def _is_of_this_container(path: Path) -> bool:
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return False  # there are no containers where there is no /proc
    above = [fields for fields in mounts if path.is_relative_to(fields[4])]
    # Of two at one place the later one is seen.
    nearest = max(reversed(above), key=lambda fields: len(fields[4]), default=None)
    return nearest is not None and nearest[nearest.index("-") + 1] in _OF_THIS_CONTAINER
