"""Install what a lock says, into the environment or into a folder."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from opa.errors import PackagesError
from opa.loading.own_extras import find_distribution
from opa.packages.failures import failed_installation
from opa.packages.folder import is_made_from, locked, refuse_others, replace_folder
from opa.packages.lock import Pin, pins_in
from opa.packages.own import own_packages
from opa.packages.programs import Installer, find_installer, scratch_folder


def install_into_folder(lock: str, folder: Path) -> tuple[Pin, ...]:
    """Have in `folder` what a lock says, and nothing else. Gives what it has; nothing where it had that before.

    Raises:
        PackagesError: it cannot be installed; the folder is as before then.
    """
    pins = tuple(pin for pin in pins_in(lock) if pin.is_for_here)
    folder = folder.resolve()  # of a link, what it leads to: a link itself would be exchanged
    refuse_others(folder)
    with locked(folder):
        if is_made_from(folder, lock):
            return ()
        refuse_others(folder)  # again, now that nobody else changes it
        replace_folder(folder, lock, lambda new: _install(pins, find_installer(), new, folder))
    importlib.invalidate_caches()
    return pins


def install_into_environment(lock: str) -> tuple[Pin, ...]:
    """Have in the environment of this process what a lock says. Gives what was installed.

    What opa-stack needs itself stays as it is, also where the lock has another version.

    Raises:
        PackagesError: it cannot be installed; nothing has changed then.
    """
    own = own_packages().versions
    wanted = [pin for pin in pins_in(lock) if pin.is_for_here and pin.name not in own]
    place = Path(sysconfig.get_path("purelib"))
    with locked(place):
        pins = tuple(pin for pin in wanted if not _is_installed(pin))
        if pins and not os.access(place, os.W_OK):
            raise PackagesError(
                "the environment cannot be written to",
                where=str(place),
                hint="Name a folder with --target, or install as its owner",
            )
        _install(pins, find_installer(), None, place) if pins else None
    importlib.invalidate_caches()
    return pins


def _is_installed(pin: Pin) -> bool:
    found = find_distribution(pin.name, everywhere=False)
    return found is not None and pin.requirement.specifier.contains(found.version, prereleases=True)


def _install(pins: Sequence[Pin], installer: Installer, target: Path | None, place: Path) -> None:
    if not pins:
        return
    with scratch_folder() as folder:
        file = folder / "plugins.txt"
        file.write_text("".join(pin.lines for pin in pins))
        done = installer.run([*_arguments(installer, target), "--requirement", str(file)], folder)
    if done.status:
        raise failed_installation(done.said, str(place))


def _arguments(installer: Installer, target: Path | None) -> list[str]:
    """Both fetch everything before they install the first, and take what has the right hash alone."""
    both = ["install", *installer.no_index, "--no-deps", "--require-hashes", "--quiet"]
    into = ["--target", str(target)] if target else []
    if installer.is_uv:
        # Copies, since a folder may be put into an image; a link would lead out of it into the cache.
        into += ["--link-mode", "copy"] if target else []
        return [
            "pip",
            *both,
            "--python",
            sys.executable,
            "--compile-bytecode",
            "--color",
            "never",
            "--no-progress",
            *into,
        ]
    return [*both, "--no-input", "--disable-pip-version-check", "--no-color", "--root-user-action=ignore", *into]
