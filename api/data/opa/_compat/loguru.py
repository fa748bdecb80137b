"""What is private in loguru, and used here."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loguru import Logger

_AUTOINIT = "LOGURU_AUTOINIT"
_HAS_DEFAULT = "loguru" in sys.modules or _AUTOINIT in os.environ


def _logger() -> Logger:
    """Loguru's logger, without the sink that it would make: the log takes the place of that, and each takes 2 ms."""
    if not _HAS_DEFAULT:
        os.environ[_AUTOINIT] = "no"
    try:
        return importlib.import_module("loguru").logger  # type: ignore[no-any-return]
    finally:
        if not _HAS_DEFAULT:
            del os.environ[_AUTOINIT]


logger = _logger()
core: Any = logger._core  # type: ignore[attr-defined]
"""What all loggers share: `handlers` by their numbers, and `min_level`, the lowest level that one of them writes."""


def default_sink() -> int | None:
    """The number of the sink that loguru makes when it is imported; None where there is none any more.

    It is the first one, unless an agent that watches loggers has added its own while loguru was imported.
    """
    if not _HAS_DEFAULT or 0 not in core.handlers:
        return None
    from loguru._simple_sinks import StreamSink

    return next((number for number, handler in core.handlers.items() if isinstance(handler._sink, StreamSink)), None)
