"""What lies in a plugin path: something that can be a plugin, something that only looks like one, or something else."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from opa._util.patterns import lazy_pattern
from opa._util.reading import MAX_FILE_BYTES, TOO_LARGE, without_waiting

# The functions of `os` instead of a Path, which costs more, and says of some errors that there is nothing.
# ruff: noqa: PTH110, PTH113, PTH114, PTH116

_NAME = lazy_pattern(r"[\w-]+")
# For pytest, setuptools and Python itself.
_FOR_OTHERS = lazy_pattern(r"(conftest|setup|test_.*|__.*__)\.py|__.*__")
_OF_PLUGIN = lazy_pattern(rb"^router\b[^=\n]*=\s*(?:\w+\.)?(?:get_router|APIRouter)\(|^@(?:opa\.)?task\b", re.MULTILINE)
_MAY_BE_TEST = lazy_pattern(r".*_test\.py")
_OF_TESTS = lazy_pattern(rb"^(?:async )?def test_\w*\(|^class Test\w*\b", re.MULTILINE)
NOT_ALLOWED = f"cannot be read: {os.strerror(errno.EACCES)}"


class Problem(NamedTuple):
    """Why something is no plugin, in words that follow its name, and what to do about it."""

    what: str
    hint: str


class Refused(NamedTuple):
    """Something in a plugin path that looks like a plugin, and cannot be loaded.

    Attributes:
        path: where it is.
        name: that the plugin would have.
        problem: why not.
    """

    path: Path
    name: str
    problem: Problem


Refuse = Callable[[Refused], object]

SOMETHING_ELSE: Final = Problem("", "")
LINK_HINT = "Let the link lead to something that this process can see, also in a container, or remove it"
LARGE_HINT = "Move data into a file beside it; if it is not a plugin, move it elsewhere"
_BAD_NAME = Problem(
    "has a name with more than letters, digits, '_' and '-', under which it cannot be imported",
    "Rename it; if it is a copy, move it elsewhere",
)

_NAME_OF_OTHERS = Problem(
    "has a router or a task, and a name that is reserved for pytest, setuptools or Python itself",
    "Rename it; if it is a test, move it to a folder beside the plugins",
)


def is_for_others(name: str) -> bool:
    """Whether a file or folder of this name beside plugins is for pytest, setuptools or Python itself."""
    return _FOR_OTHERS.fullmatch(name) is not None


def hint_where_for_others(folders: Iterable[Path], name: str) -> str | None:
    """What to do where someone takes a file of the plugin paths for a plugin, and its name is for others."""
    if is_for_others(f"{name}.py"):
        for folder in folders:
            if os.path.isfile(folder / f"{name}.py"):
                return (
                    f"{name}.py is not loaded as a plugin: its name is reserved for pytest, setuptools or Python"
                    " itself. Rename it"
                )
    return None


def problem_of_name(entry: os.DirEntry[str]) -> Problem | None:
    """What is wrong with a file that is for others by its name, and has at its top what only a plugin has."""
    return _NAME_OF_OTHERS if _OF_PLUGIN.search(_text_of(entry)) else None


def is_test(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file of tests by the other name for pytest, `*_test.py`.

    A plugin may have such a name as well: what has no test at its top, or has a router or a task there, is one.
    """
    if not _MAY_BE_TEST.fullmatch(entry.name):
        return False
    text = _text_of(entry)
    return _OF_TESTS.search(text) is not None and not _OF_PLUGIN.search(text)


def _text_of(entry: os.DirEntry[str]) -> bytes:
    """What stands in a Python file; nothing where it is none, or cannot be read."""
    try:
        if not entry.name.endswith(".py") or not entry.is_file():
            return b""
        with open(entry.path, "rb", opener=without_waiting) as file:
            return file.read(MAX_FILE_BYTES) or b""
    except OSError:
        return b""


def module_problem(entry: os.DirEntry[str]) -> Problem | None:
    """What keeps `entry`, whose name ends with `.py`, from being a module; capitals are no `.py` for Python."""
    stem, _, suffix = entry.name.rpartition(".")
    if not _is_name(stem):
        return _BAD_NAME
    try:
        if not entry.is_file():
            os.stat(entry.path)
            return Problem("is not a regular file", "Put the file itself into the folder, or remove this")
        if entry.stat().st_size > MAX_FILE_BYTES:  # Python would read all of it
            return Problem(TOO_LARGE, LARGE_HINT)
    except OSError as error:
        return _unreadable(error, entry.path)
    if suffix == "py":
        return None
    return Problem(f"ends with '.{suffix}', which is not a Python suffix", f"Rename it to {stem}.py")


def package_problem(entry: os.DirEntry[str]) -> Problem | None:
    """What keeps `entry` from being a package: it is `SOMETHING_ELSE` where it does not look like one."""
    if entry.name.lower().endswith((".py.txt", ".whl")) and entry.is_file():
        stem, _, suffix = entry.name.rpartition(".")
        if suffix.lower() == "whl":
            return Problem("is a wheel, which is not imported from a folder", "Install it with pip")
        return Problem(f"ends with '.{suffix}', which is not a Python suffix", f"Rename it to {stem}")
    file, could_be = f"{entry.path}/__init__.py", _is_name(entry.name)
    problem: Problem | None = None
    try:
        if not could_be and not entry.is_dir():
            return SOMETHING_ELSE
        size = os.stat(file).st_size
        if not could_be:
            problem = _BAD_NAME
        elif not os.path.isfile(file):
            problem = Problem("has an __init__.py that is not a regular file", "Put the file itself into the folder")
        elif size > MAX_FILE_BYTES:
            problem = Problem(f"has an __init__.py that {TOO_LARGE}", LARGE_HINT)
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        if is_missing and os.path.islink(file):
            problem = Problem(f"has an __init__.py that {why(error, file)}", LINK_HINT)
        elif is_missing and (os.path.exists(entry.path) or not entry.is_symlink()):
            problem = SOMETHING_ELSE
        else:
            problem = _unreadable(error, entry.path) if could_be else SOMETHING_ELSE
    return problem


def why(error: OSError, path: str | Path) -> str:
    """Why what should be at `path` is not to be had."""
    if error.errno == errno.ELOOP:
        return "is a link that leads in a circle"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "is a link that leads nowhere" if os.path.islink(path) else "does not exist"
    return f"cannot be read: {error.strerror or error}"


def problem_of_folder(path: str | Path) -> str | None:
    """What is wrong with what should be a folder that can be read; None for nothing, also where there is nothing."""
    if not os.path.lexists(path):
        return None
    try:
        with os.scandir(path):
            os.stat(f"{path}/.")  # whether files in it can be read
    except NotADirectoryError:
        return "is not a folder"
    except OSError as error:
        return why(error, path)
    return None


def who_may_read() -> str:
    """What to do where this process may not read something."""
    return f"This process runs as the user with the number {os.geteuid()}: let it read the folder and all that is in it"


def _unreadable(error: OSError, path: str) -> Problem:
    what = why(error, path)
    return Problem(what, LINK_HINT if "link" in what else who_may_read())


def _is_name(name: str) -> bool:
    # What is no letter for `re` may be one for Python, such as an accent that stands by itself.
    return _NAME.fullmatch(name) is not None or f"_{name.replace('-', '_')}".isidentifier()
