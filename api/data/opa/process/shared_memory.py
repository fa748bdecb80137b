"""A place for small files that is there where all else is read-only."""

from __future__ import annotations

import os

_FOLDER = "/dev/shm"  # noqa: S108 - each container has its own


def shared_memory() -> str | None:
    """The folder for files in memory; nothing where there is none to write to."""
    return _FOLDER if os.access(_FOLDER, os.W_OK) else None
