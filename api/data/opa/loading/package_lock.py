"""The lock of the packages that plugins need, `plugins.lock`: where it is, and what its head says it was made for."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from opa._util.image import FOLDER, is_image
from opa._util.reading import UnreadableError, read_text
from opa.settings.sources import settings_folder

LOCK = "plugins.lock"
NEED = "# need: "
INSTALL = "opa deps install"


def lock_file() -> Path:
    """Where it is: in the project's folder, which is the one that has the settings folder."""
    return settings_folder().absolute().parent / LOCK


def needs_in(text: str) -> frozenset[str]:
    """The requirements that a lock was made for."""
    return frozenset(
        line.removeprefix(NEED).partition("  # ")[0].strip() for line in text.splitlines() if line.startswith(NEED)
    )


def install_command(packages: Iterable[str]) -> str:
    """The command that installs packages, by the lock where there is one; in the image, what its Dockerfile is to have.

    Args:
        packages: their requirements.
    """
    packages = list(dict.fromkeys(packages))
    try:
        locked: frozenset[str] | None = needs_in(read_text(lock_file()))
    except UnreadableError:
        locked = None
    is_locked = locked is not None and locked.issuperset(packages)
    if is_image():
        lock = "" if is_locked else "opa deps in the project, then "
        return f"{lock}RUN {INSTALL} --target {FOLDER} in the Dockerfile of your own image, see docs/packages.md"
    if locked is None:
        return f"pip install {' '.join(map(_quoted, packages))}"
    return INSTALL if is_locked else f"opa deps && {INSTALL}"


def _quoted(package: str) -> str:
    """In quotes also where a shell needs none: `>` is easily added."""
    return shlex.quote(package) if "'" in package else f"'{package}'"
