"""Which requests the access log leaves out."""

from __future__ import annotations

import logging
from collections.abc import Iterable

LOGGER = "uvicorn.access"


class WithoutHealthChecks(logging.Filter):
    """Drops the lines of health checks that went well: a container's comes every few seconds, and hides the others.

    Args:
        paths: of the health routes.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        super().__init__()
        self._paths = frozenset(paths)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written. Its arguments are uvicorn's: client, method, path, HTTP version and status."""
        match record.args:
            case (_, _, str(path), _, 200):
                return path.partition("?")[0] not in self._paths
        return True
