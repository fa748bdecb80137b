"""The lock of the packages that plugins need, `plugins.lock`: where it is, and what its head says it was made for."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.image import FOLDER, is_image
from opa._util.reading import UnreadableError, read_text
from opa.loading.own_extras import stands_for
from opa.settings.sources import settings_folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

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


def install_command(packages: Iterable[Requirement]) -> str:
    """The command that installs what plugins ask for, by the lock if there is one; in the image, a line for its own."""
    packages = list(dict.fromkeys(packages))
    try:
        locked: frozenset[str] | None = needs_in(read_text(lock_file()))
    except UnreadableError:
        locked = None
    has_all = locked is not None and all(is_locked(each, locked) for each in packages)
    if is_image():
        lock = "" if has_all else "opa deps in the project, then "
        return f"{lock}RUN {INSTALL} --target {FOLDER} in the Dockerfile of your own image, see docs/packages.md"
    if locked is None:
        return f"pip install {' '.join(_quoted(str(each)) for each in packages)}"
    return INSTALL if has_all else f"opa deps && {INSTALL}"


def is_locked(package: Requirement, locked: frozenset[str]) -> bool:
    """Whether a lock was made for what a requirement stands for.

    Args:
        package: what a plugin asks for.
        locked: what the lock was made for.

    Raises:
        PackagesError: it is one of opa-stack that is not met.
    """
    return all(str(each) in locked for each in stands_for(package))


def _quoted(package: str) -> str:
    """In quotes also where a shell needs none: `>` is easily added."""
    return shlex.quote(package) if "'" in package else f"'{package}'"
