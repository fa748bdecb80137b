"""A flag and a short text that processes share."""

from __future__ import annotations

import mmap


class SharedFlag:
    """Made before the fork; once a process has set it, it is set in all of them, and stays so."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Set it."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Whether a process has set it."""
        return self._byte[0] != 0


TEXT_SIZE = 512
"""Bytes of a text; what is longer is cut."""


class SharedText:
    """Made before the fork; the process that is forked says it, and the one that has forked it reads it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, TEXT_SIZE)

    def set(self, text: str) -> None:
        """Say something else."""
        self._memory[:] = text.encode(errors="replace")[:TEXT_SIZE].ljust(TEXT_SIZE, b"\0")

    def get(self) -> str:
        """What was said last; empty before that."""
        return self._memory[:].rstrip(b"\0").decode(errors="ignore")
