"""A value that stands in a file of its own, as Docker and Kubernetes hand over secrets: `/run/secrets/…`."""

from __future__ import annotations

from pathlib import Path

from opa._util.masking.hidden import hide
from opa._util.reading import UnreadableError, read_text

SUFFIX = "__FILE"
"""What comes behind the name of a variable whose value is the name of such a file."""

_FROM_FILE = "file "


class ValueFileError(Exception):
    """The message names the file, what is wrong, and what to do; never what is in it. `is_missing`: there is none."""

    def __init__(self, problem: str, *, is_missing: bool = False) -> None:
        super().__init__(problem)
        self.is_missing = is_missing


def read_value(file: str) -> str:
    """The text in `file`, without the newline at its end that editors and `echo` put there; from now on it is masked.

    Raises:
        ValueFileError: it is missing, cannot be read, is too large, is not text, or has no value that was meant.
    """
    if not file.strip():
        raise ValueFileError("names no file; set it to the path of the file that has the value, or unset it")
    try:
        text = read_text(Path(file))
    except UnreadableError as error:
        todo = "mount it there, or correct the path" if error.is_missing else _REMEDY
        raise ValueFileError(f"the file {file} {error}; {todo}", is_missing=error.is_missing) from error
    value = text.removesuffix("\n").removesuffix("\r")
    if problem := _problem_of(value):
        raise ValueFileError(f"the file {file} {problem}")
    hide(value)
    return value


_REMEDY = "the file should have the value alone, as UTF-8 text that this user may read"


def _problem_of(value: str) -> str:
    """Why it cannot be what was meant: nobody would see that from a server which refuses the password."""
    if not value:
        return "is empty; write the value into it, or unset the variable"
    if "\0" in value:
        return f"has a NUL character; {_REMEDY}"
    if value.endswith(("\n", "\r")):
        return "ends with more than one newline, of which one is taken for the end of the file; remove the others"
    return ""


def source_of_file(file: str, variable: str) -> str:
    """The source of such a value, for people."""
    return f"{_FROM_FILE}{file} of environment variable {variable}"


def is_from_file(source: str) -> bool:
    """Whether such a value is among these sources. It is never shown: that it is in a file says that it is secret."""
    return source.startswith(_FROM_FILE) or f", {_FROM_FILE}" in source
