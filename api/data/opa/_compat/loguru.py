"""What is private in loguru, and used here."""

from __future__ import annotations

from typing import Any

from loguru import logger

core: Any = logger._core  # type: ignore[attr-defined]
"""What all loggers share: `handlers` by their numbers, and `min_level`, the lowest level that one of them writes."""
