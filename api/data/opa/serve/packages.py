"""See that a package was installed, such as the one whose absence kept a plugin from being imported."""

from __future__ import annotations

import sys
from pathlib import Path

from opa.loading.packages_folder import PackagesFolder

FOLDERS = ("site-packages", "dist-packages")


def installed_packages() -> tuple[int, ...]:
    """Something that changes when a package is installed, or taken away: when each folder of packages last changed."""
    folders = {entry for entry in sys.path if Path(entry).name in FOLDERS or isinstance(entry, PackagesFolder)}
    return tuple(map(_last_change, sorted(folders)))


def _last_change(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:  # gone since this process began
        return 0
