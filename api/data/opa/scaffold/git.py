"""The few things that git is asked for. It is a program that may be missing, and no part of opa-stack."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from opa.errors import ProjectError

_TIMEOUT = 60.0
_MAX_CONFLICTS = 127
# Of a hook or a rebase from which opa is called: they name another repository.
_OF_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")


def is_installed() -> bool:
    """Whether there is a git."""
    return shutil.which("git") is not None


def is_in_repository(folder: Path) -> bool:
    """Whether the folder is in a work tree of git."""
    return _git(folder, "rev-parse", "--is-inside-work-tree").stdout.strip() == b"true"


def init(folder: Path) -> bool:
    """Make a repository; whether there is one now."""
    return _git(folder, "init", "--quiet", "--initial-branch=main").returncode == 0


def uncommitted(folder: Path, paths: Iterable[str]) -> list[str]:
    """Those of the paths whose state is in no commit, so that it could not be restored; all outside of a repository."""
    asked = list(paths)
    status = _git(
        folder, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames", "--", *asked
    )
    if status.returncode != 0:
        return asked
    prefix = _git(folder, "rev-parse", "--show-prefix").stdout.strip()
    found = {os.fsdecode(entry[3:].removeprefix(prefix)) for entry in status.stdout.split(b"\0") if entry}
    return [path for path in asked if path in found or any(path.startswith(each) for each in found if each[-1:] == "/")]


def merge(yours: str, base: str, theirs: str, *, label: str) -> tuple[str, bool]:
    """Merge three versions of a text; whether there is a conflict, which stands in the text between markers.

    Raises:
        ProjectError: git does not merge them.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for name, text in (("yours", yours), ("base", base), ("theirs", theirs)):
            Path(folder, name).write_bytes(text.encode())
            names.append(name)
        done = _git(Path(folder), "merge-file", "-p", "-L", "yours", "-L", "base", "-L", label, *names)
    if not 0 <= done.returncode <= _MAX_CONFLICTS:
        raise ProjectError(f"git cannot merge: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(), done.returncode > 0


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environ = {name: value for name, value in os.environ.items() if name not in _OF_OTHERS}
    try:
        return subprocess.run(  # noqa: S603 - no shell reads it, and paths are no options
            ["git", "--literal-pathspecs", *arguments],  # noqa: S607 - the git that the user has
            cwd=folder,
            env=environ | {"LC_ALL": "C"},
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProjectError(f"git cannot be run: {error}", hint="See that git is installed and works") from None
