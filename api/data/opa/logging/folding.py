"""Tracebacks for people: the frames of their own code in full, those of libraries between them as a line."""

from __future__ import annotations

import functools
import os.path
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, TypeVar

from opa._util.patterns import lazy_pattern

T = TypeVar("T")

MARK = "__opa_plugin__"
"""What a module has in it that is a plugin."""

_PACKAGE_FOLDER = f"{os.path.dirname(os.path.dirname(__file__))}{os.sep}"  # noqa: PTH120 - for each frame
_STANDARD_LIBRARY = f"{os.path.dirname(os.__file__)}{os.sep}"  # noqa: PTH120
_INSTALLED = lazy_pattern(r".*[/\\](?:site|dist)-packages[/\\]")


class Owners:
    """Tells whose code a file is; of the moment, as plugins come and go."""

    def __init__(self) -> None:
        modules = [getattr(module, "__dict__", {}) for module in list(sys.modules.values())]
        files = [str(values.get("__file__")) for values in modules if MARK in values]
        plugins = {file.removesuffix("__init__.py") for file in files if not file.startswith(_PACKAGE_FOLDER)}
        self._plugins = tuple(plugins)

    def library_of(self, file: str) -> str | None:
        """The library that it is of; None where it is the user's own."""
        return None if file.startswith(self._plugins) else library_of(file)


@functools.lru_cache(maxsize=4096)
def library_of(file: str) -> str | None:
    """The library that a file is of by its path: an installed one, opa-stack or Python's own; None for any other."""
    if file.startswith("<frozen "):
        return file.removeprefix("<frozen ").partition(".")[0].rstrip(">")
    installed = _INSTALLED.match(file)
    if installed is not None:
        return _first_part(file[installed.end() :])
    if file.startswith(_PACKAGE_FOLDER):
        return "opa"
    return _first_part(file[len(_STANDARD_LIBRARY) :]) if file.startswith(_STANDARD_LIBRARY) else None


def _first_part(path: str) -> str:
    return re.split(r"[/\\]", path, maxsplit=1)[0].removesuffix(".py")


def folded(frames: Iterable[T], place: Callable[[T], tuple[str, int, str]]) -> Iterator[list[T] | str]:
    """The frames in their order: lists of the user's own, and a line for each run of others.

    Args:
        frames: the outermost first.
        place: gives file, line and function of one.
    """
    owners = Owners()
    told = [(frame, owners.library_of(place(frame)[0])) for frame in frames]
    seen = 0
    for is_own, group in groupby(told, key=lambda each: each[1] is None):
        run = list(group)
        seen += len(run)
        if is_own:
            yield [frame for frame, _ in run]
        else:
            yield _in_one_line([str(library) for _, library in run], place(run[-1][0]), is_last=seen == len(told))


def _in_one_line(libraries: list[str], last: tuple[str, int, str], *, is_last: bool) -> str:
    names = ", ".join(dict.fromkeys(libraries))
    count = "1 frame" if len(libraries) == 1 else f"{len(libraries)} frames"
    file, line, function = last
    raised = f', the last: "{file}", line {line}, in {function}' if is_last else ""
    return f"  … {count} of {names}{raised}\n"


class FoldedStack(traceback.StackSummary):
    """The frames of a `TracebackException`, folded."""

    def format(self, **options: Any) -> list[str]:
        """The lines; `traceback` calls it."""
        lines: list[str] = []
        for part in folded(self, lambda frame: (frame.filename, frame.lineno or 0, frame.name)):
            lines += [part] if isinstance(part, str) else traceback.StackSummary.from_list(part).format(**options)
        return lines


def fold(trace: traceback.TracebackException) -> traceback.TracebackException:
    """Fold the frames of an exception, of its causes and of those in a group."""
    pending: list[traceback.TracebackException | None] = [trace]
    while pending:
        each = pending.pop()
        if each is not None and not isinstance(each.stack, FoldedStack):
            each.stack = FoldedStack(each.stack)
            pending += [each.__cause__, each.__context__, *(each.exceptions or ())]
    return trace
