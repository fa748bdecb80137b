"""Files that commands write."""

from __future__ import annotations

from pathlib import Path


def write_file(file: Path, text: str, what: str, hint: str | None = None) -> None:
    """Put `text` in the place of a file, whole or not at all.

    Args:
        file: where to.
        text: all of it.
        what: it is, for people.
        hint: what to do where it cannot be written.

    Raises:
        OpaError: it cannot be written; the file is as before.
    """
    from opa._util.whole_files import write_whole
    from opa.errors import OpaError

    try:
        write_whole(file, text)
    except OSError as error:
        raise OpaError(f"{what} cannot be written: {error.strerror or error}", where=str(file), hint=hint) from None
