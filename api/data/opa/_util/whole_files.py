"""Write a file whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Put `text`, in UTF-8, in the place of a file in one step; into a pipe or a device it is written as it is.

    Args:
        file: of a link, what it leads to is replaced, and the link stays.
        text: all of it.

    Raises:
        OSError: it cannot be written; the file is as before, and nothing else is left.
        UnicodeEncodeError: the text has half a character; the same holds.
    """
    target = file.resolve()
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8")
        return
    new = target.with_name(f".{target.name or 'file'}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(target)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
