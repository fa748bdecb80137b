"""Make a new project: aside, and then in its place, so that there is all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from opa._util.sources import from_here
from opa.errors import ProjectError
from opa.scaffold import git
from opa.scaffold.names import check_project_name
from opa.scaffold.record import record_file
from opa.scaffold.template import File, project_files

IGNORED = frozenset({".git", ".idea", ".venv", ".python-version", ".DS_Store"})
"""What other tools put into a folder before a project is in it. None of it is a file of the template."""

_SHOWN = 5


def make_project(folder: Path) -> tuple[File, ...]:
    """Make a project in a folder, which may be empty or missing; its name is that of the folder.

    Raises:
        ProjectError: the name cannot be used, something is in the way, or the files cannot be written.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - `resolve` follows a link, and then the name is another one
    check_project_name(folder.name)
    files = project_files(folder.name)
    files = (*files, record_file(folder.name, files))
    if _is_folder(folder):
        _refuse_files(folder)
    elif os.path.lexists(folder):
        raise ProjectError(
            f"{_shown(folder)} is there, and is not a folder", where=str(folder), hint="Take another name, or remove it"
        )
    elif not _is_folder(folder.parent):
        raise ProjectError(f"the folder {_shown(folder.parent)} is not there", where=str(folder), hint="Create it")
    try:
        with _aside(folder) as new:
            write_files(new, files)
            _put(new, folder)
    except OSError as error:
        raise ProjectError(
            f"the project cannot be written: {error.strerror or error}",
            where=str(error.filename2 or error.filename or folder),
            hint="Nothing of it is left",
        ) from None
    return files


def make_repository(folder: Path) -> bool:
    """Make a git repository of a new project, if git is there and the project is in none; whether it is in one now."""
    try:
        return git.is_installed() and (git.is_in_repository(folder) or git.init(folder))
    except ProjectError:  # git does not work; the project does
        return False


def write_files(folder: Path, files: Iterable[File]) -> None:
    """Write files that are not there yet.

    Raises:
        OSError: one is, or cannot be written.
    """
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as new:
            new.write(file.text)


def _is_folder(path: Path) -> bool:
    """Whether it is one; not where nobody may look, which is told when something is written there."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _refuse_files(folder: Path) -> None:
    try:
        found = sorted({entry.name for entry in os.scandir(folder)} - IGNORED)
    except OSError as error:
        raise ProjectError(f"{_shown(folder)} cannot be read: {error.strerror}", where=str(folder)) from None
    if found:
        hint = "Nothing was written. Take another name, or make the project elsewhere and copy what you want"
        if all(name.startswith(_aside_name(folder)) for name in found):
            hint = "An opa new is at work there, or was killed: then remove what it has left"
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ProjectError(
            f"{_shown(folder)} is not empty: it has {', '.join(found[:_SHOWN])}{more}",
            where=str(folder),
            hint=hint,
        )


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A new folder in the same file system; what is left in it is gone in the end."""
    home = folder if _is_folder(folder) else folder.parent
    outer = Path(tempfile.mkdtemp(prefix=_aside_name(folder), dir=home))
    try:
        new = outer / folder.name  # with the mode that folders have here, which `mkdtemp` does not give
        new.mkdir()
        yield new
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def _aside_name(folder: Path) -> str:
    return f".{folder.name}-new-"


def _put(new: Path, folder: Path) -> None:
    """Move what was made to its place."""
    if not _is_folder(folder):
        new.rename(folder)  # which fails where another process was faster, and has put something there
        return
    moved: list[tuple[Path, Path]] = []
    try:
        for entry in sorted(new.iterdir()):
            target = folder / entry.name
            if os.path.lexists(target):
                raise FileExistsError(17, "it was written meanwhile", str(target))
            entry.rename(target)
            moved.append((entry, target))
    except BaseException:
        for entry, target in moved:
            with contextlib.suppress(OSError):
                target.rename(entry)
        raise


def _shown(path: Path) -> str:
    return from_here(str(path))
