"""Bring a project to the template of this version, and keep what its user has changed.

Three versions of a file meet: what the template gave when it was written (the record has it), what it is now, and what
the template gives today. Everything is put together first, and then written.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from packaging.version import Version

from opa import __version__
from opa._util.reading import UnreadableError, read_text
from opa.errors import ProjectError
from opa.scaffold import git
from opa.scaffold.record import NAME, Record, read_record, record_file
from opa.scaffold.template import File, project_files

BESIDE = ".new"
"""What the name of a file ends with that stands beside one that cannot be merged."""


class Outcome(Enum):
    """What became of a file."""

    ADDED = "added"
    REPLACED = "updated"
    MERGED = "merged with your changes"
    CONFLICT = "has conflicts, between <<<<<<< and >>>>>>>"
    DELETED = "deleted, the template has it no more"
    KEPT = "kept as it is, the template has it no more"
    GONE = "stays deleted"
    BESIDE = f"kept as it is, see the same with {BESIDE} for the template's"
    ELSEWHERE = "kept as it is, since it is in a folder that is a link"
    LOCK = "kept as it is, since it is not the template's: make lock brings it up to date"


NEEDS_HANDS = frozenset({Outcome.CONFLICT, Outcome.BESIDE, Outcome.ELSEWHERE})
"""After these, the user has something to do."""


@dataclass(frozen=True)
class Change:
    """What an update does with a file: `text` is what is written to `target`; None deletes it, or writes nothing."""

    path: str
    outcome: Outcome
    target: str = ""
    text: str | None = None


@dataclass(frozen=True)
class _Found:
    """The text of a file in the project, without the carriage returns that it has in the project where it `has_cr`."""

    text: str
    has_cr: bool

    def as_before(self, text: str) -> str:
        return text.replace("\n", "\r\n") if self.has_cr else text


class _ElsewhereError(UnreadableError):
    """The file is in a folder that is a link: what is written there may be in another project."""


def update_project(project: Path) -> tuple[Change, ...]:
    """Bring a project to the template of this opa-stack; nothing is returned where it has that already.

    Raises:
        ProjectError: it is no project, was made by a newer opa-stack, has changes that are not committed, or cannot be
            written. Nothing was changed then.
    """
    record = read_record(project)
    _refuse_newer(record, project)
    files = project_files(record.name)
    new_record = record_file(record.name, files)
    if new_record.text == record_text(project):
        return ()
    changes = tuple(_changes(project, record, files))
    _write(project, (*changes, Change(NAME, Outcome.REPLACED, NAME, new_record.text)))
    return changes


def record_text(project: Path) -> str:
    """The text of the record, however its lines end."""
    return read_text(project / NAME).replace("\r\n", "\n")


def _refuse_newer(record: Record, project: Path) -> None:
    try:
        is_newer = Version(record.version) > Version(__version__)
    except ValueError:  # InvalidVersion, or a number of more digits than Python reads
        raise ProjectError(f"{NAME} names no version: '{record.version:.40}'", where=str(project / NAME)) from None
    if is_newer:
        raise ProjectError(
            f"the project has the template of opa-stack {record.version}, and this is {__version__}",
            where=str(project / NAME),
            hint="Update opa-stack first: pip install --upgrade 'opa-stack[local]'",
        )


def _changes(project: Path, record: Record, files: Iterable[File]) -> Iterator[Change]:
    today = {file.path: file for file in files if not file.is_seed}
    found = {path: _read(project, path) for path in (today.keys() | record.paths)}
    _refuse_uncommitted(project, record, today, found)
    for path in sorted(found):
        change = _change(path, found[path], record, today.get(path))
        if change is not None:
            yield change


def _change(path: str, found: _Found | UnreadableError | None, record: Record, file: File | None) -> Change | None:
    """What is to be done with a file; None where it stays as it is and there is nothing to say."""
    if file is None:
        return _of_removed(path, found, record)
    is_known = path in record.paths
    if is_known and record.is_as_written(path, file.text):
        return None  # the template has not changed
    if isinstance(found, _Found):
        return _of_text(path, found, record, file)
    if isinstance(found, _ElsewhereError):
        return Change(path, Outcome.ELSEWHERE)
    if found is not None:
        return Change(path, Outcome.BESIDE, path + BESIDE, file.text)
    return Change(path, Outcome.GONE) if is_known else Change(path, Outcome.ADDED, path, file.text)


def _of_text(path: str, found: _Found, record: Record, file: File) -> Change | None:
    """What is to be done with a file that is there, and that the template has in another version than before."""
    if found.text == file.text:
        return None
    if path in record.paths and record.is_as_written(path, found.text):
        return Change(path, Outcome.REPLACED, path, found.as_before(file.text))
    if file.is_lock:
        return Change(path, Outcome.LOCK)
    if path not in record.texts:
        return Change(path, Outcome.BESIDE, path + BESIDE, found.as_before(file.text))
    label = f"template of opa-stack {__version__}"
    merged, has_conflict = git.merge(found.text, record.texts[path], file.text, label=label)
    return Change(path, Outcome.CONFLICT if has_conflict else Outcome.MERGED, path, found.as_before(merged))


def _of_removed(path: str, found: _Found | UnreadableError | None, record: Record) -> Change | None:
    if found is None:
        return None
    is_as_written = isinstance(found, _Found) and record.is_as_written(path, found.text)
    return Change(path, Outcome.DELETED, path) if is_as_written else Change(path, Outcome.KEPT)


def _read(project: Path, path: str) -> _Found | UnreadableError | None:
    """A file of the project; None where there is none, and why where it cannot be merged."""
    file = project / path
    if any((project / folder).is_symlink() for folder in PurePosixPath(path).parents):
        return _ElsewhereError("is in a folder that is a link")
    if file.is_symlink():
        return UnreadableError("is a link")
    try:
        text = read_text(file)
    except UnreadableError as error:
        return None if error.is_missing else error
    return _Found(text.replace("\r\n", "\n"), text.count("\r\n") * 2 > text.count("\n"))


def _refuse_uncommitted(
    project: Path, record: Record, today: dict[str, File], found: dict[str, _Found | UnreadableError | None]
) -> None:
    """See that each file with changes of the user that is about to be merged can be restored."""
    merged = sorted(
        path
        for path, file in found.items()
        if isinstance(file, _Found)
        and path in today
        and path in record.texts
        and not record.is_as_written(path, file.text)
        and not record.is_as_written(path, today[path].text)
    )
    if not merged:
        return
    if not git.is_installed():
        raise ProjectError(
            f"you have changed {_listed(merged)}, and merging needs git, which is not installed",
            where=str(project),
            hint="Install git. Nothing was changed",
        )
    if lost := git.uncommitted(project, merged):
        raise ProjectError(
            f"{_listed(lost)} {'has' if len(lost) == 1 else 'have'} changes that are not committed",
            where=str(project),
            hint="Commit or stash them first, so that git can show and take back what the update does."
            " Nothing was changed",
        )


def _listed(paths: list[str]) -> str:
    return ", ".join(paths)


def _write(project: Path, changes: Iterable[Change]) -> None:
    """Write all, after all has found its room on the disk; what cannot be written changes nothing."""
    aside: list[tuple[Path, Path]] = []
    deleted = [project / each.path for each in changes if each.outcome is Outcome.DELETED]
    try:
        for change in changes:
            if change.text is not None:
                target = project / change.target
                target.parent.mkdir(parents=True, exist_ok=True)
                aside.append((_written_beside(target, change.text), target))
        for new, target in aside:
            new.replace(target)
        for path in deleted:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ProjectError(
            f"the update cannot be written: {error.strerror or error}",
            where=str(error.filename or project),
            hint="git status shows whether something has changed",
        ) from None
    finally:
        for new, _ in aside:
            new.unlink(missing_ok=True)


def _written_beside(target: Path, text: str) -> Path:
    """A new file beside `target` with this text, and the mode of the one that it is to replace."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        new.chmod(_mode_of(target))
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return new


def _mode_of(target: Path) -> int:
    try:
        return stat.S_IMODE(target.lstat().st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
