"""What is private in loguru, and used here."""

from __future__ import annotations

from typing import Any

from loguru import logger
from loguru._simple_sinks import StreamSink

core: Any = logger._core  # type: ignore[attr-defined]
"""What all loggers share: `handlers` by their numbers, and `min_level`, the lowest level that one of them writes."""


def default_sink() -> int | None:
    """The number of the sink that loguru makes when it is imported; None where there is none any more.

    It is the first one, unless an agent that watches loggers has added its own while loguru was imported.
    """
    if 0 not in core.handlers:
        return None
    return next((number for number, handler in core.handlers.items() if isinstance(handler._sink, StreamSink)), None)
