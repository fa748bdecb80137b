"""How the command shows an error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line, printable
from opa._util.sources import PACKAGE_FOLDER
from opa.errors import OpaError, PluginError, SettingsError
from opa.logging.folding import FoldedStack, Owners
from opa.settings.inherited import STATE_VARIABLE, process_of_up


def print_error(error: OpaError) -> None:
    """Print the one line that says it all; behind it, every mistake in the settings, or the trace of the cause."""
    if len(error.each) > 1:
        for each in error.each:
            print_error(each)
        return
    if isinstance(error, SettingsError) and len(error.mistakes) > 1:
        print(f"error: {len(error.mistakes)} mistakes in the settings", file=sys.stderr)
        for mistake in error.mistakes:
            print(f"  {in_one_line(mistake)}", file=sys.stderr)
        return
    print(f"error: {in_one_line(str(error))}", file=sys.stderr)
    if trace := trace_of(error):
        print(trace, end="", file=sys.stderr)


def print_start_error(error: OpaError) -> None:
    """Say why a process does not start: by a line of the log where that is JSON, for who collects it; else print it."""
    for each in error.each:
        _print_start_error(each)


def _print_start_error(error: OpaError) -> None:
    from opa.logging.logger import log
    from opa.logging.stderr import writes_text

    if process_of_up():
        from opa.process.told import is_told

        if is_told(str(error), Path()):
            return
    if writes_text():
        (_print_last if process_of_up() else print_error)(error)
        return
    names = ("id", "plugin", "component", "where", "hint", "mistakes")
    told = {name: getattr(error, name, None) for name in names}
    cause = None if isinstance(error.__cause__, OpaError) else error.__cause__
    fields = {name: value for name, value in told.items() if value}
    log.bind(**fields).opt(exception=cause).error(in_one_line(str(error)))


def _print_last(error: OpaError) -> None:
    """Print the error with the line that says it all as the last one."""
    if not isinstance(error, SettingsError) and (trace := trace_of(error)):
        print(trace, end="", file=sys.stderr)
    text = f"error: {in_one_line(str(error))}"
    if isinstance(error, SettingsError) and len(error.mistakes) > 1:
        mistakes = "".join(f"  {in_one_line(mistake)}\n" for mistake in error.mistakes)
        text = f"{mistakes}error: {len(error.mistakes)} mistakes in the settings"
    again = ". It restarts when that is fixed" if STATE_VARIABLE in os.environ else ""
    print(f"{text.rstrip('.')}{again}", file=sys.stderr, flush=True)


def trace_of(error: OpaError) -> str:
    """The traceback of what a plugin or a library raised, as it may be shown; empty where nothing did.

    It is empty too where no line of the user's own code is in it, such as that of a server that does not answer: the
    error says all of it. Of a plugin's mistake it is shown in any case, since an installed plugin looks like a library.
    """
    cause = error.__cause__
    if cause is None or isinstance(cause, OpaError):
        return ""
    trace = traceback.TracebackException.from_exception(cause)
    if not isinstance(error, PluginError) and not _has_own_code(trace.stack):
        return ""
    return printable(mask_text("".join(_lines(trace))))


def _has_own_code(frames: Iterable[traceback.FrameSummary]) -> bool:
    owners = Owners()
    return any(owners.library_of(frame.filename) is None for frame in frames)


def _lines(trace: traceback.TracebackException) -> Iterator[str]:
    """Without the frames of opa-stack, but for its plugins, and of Python's import system."""
    trace.stack = FoldedStack([frame for frame in trace.stack if not _is_inside(frame.filename)])
    return trace.format(chain=False)


def _is_inside(file: str) -> bool:
    in_package = file.startswith(f"{PACKAGE_FOLDER}{os.sep}")
    return file.startswith("<frozen importlib") or (in_package and "plugins" not in file[len(str(PACKAGE_FOLDER)) :])
