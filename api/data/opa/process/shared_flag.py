"""A flag that processes share."""

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
