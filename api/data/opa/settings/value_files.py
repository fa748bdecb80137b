"""A value that stands in a file of its own, as Docker and Kubernetes hand over secrets: `/run/secrets/…`."""

from __future__ import annotations

from pathlib import Path

from opa._util.reading import UnreadableError, read_text

SUFFIX = "__FILE"
"""What comes behind the name of a variable whose value is the name of such a file."""

_FROM_FILE = "file "


class ValueFileError(Exception):
    """The message names the file, what is wrong, and what to do; never what is in it."""


def read_value(file: str) -> str:
    """The text in `file`, without the newline at its end that editors and `echo` put there.

    Raises:
        ValueFileError: it is missing, cannot be read, is too large, or is not text.
    """
    if not file.strip():
        raise ValueFileError("names no file; set it to the path of the file that has the value, or unset it")
    try:
        text = read_text(Path(file))
    except UnreadableError as error:
        todo = "mount it there, or correct the path" if error.is_missing else _REMEDY
        raise ValueFileError(f"the file {file} {error}; {todo}") from error
    return text.removesuffix("\n").removesuffix("\r")


_REMEDY = "the file should have the value alone, as UTF-8 text that this user may read"


def source_of_file(file: str, variable: str) -> str:
    """The source of such a value, for people."""
    return f"{_FROM_FILE}{file} of environment variable {variable}"


def is_from_file(source: str) -> bool:
    """Whether this is the source of such a value, which is never shown: that it is in a file says that it is secret."""
    return source.startswith(_FROM_FILE)
