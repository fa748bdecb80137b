"""What a plugin's code has raised, in words."""

from __future__ import annotations

import asyncio

from opa.errors import OpaError
from opa.loading.import_errors import summary


def in_words(error: BaseException) -> str:
    """What was raised; an error of opa-stack speaks for itself."""
    return str(error) if isinstance(error, OpaError) else summary(error, "")


def came_late(error: BaseException, timeout: asyncio.Timeout | None) -> bool:
    """Whether it is the time limit around the code that has ended it, and no timeout of its own."""
    return isinstance(error, TimeoutError) and timeout is not None and timeout.expired()


def problem_of(error: BaseException, timeout: asyncio.Timeout | None, limit: float) -> str:
    """What is wrong with a step that has a time limit, in words that go on behind its name.

    Args:
        error: that has ended it.
        timeout: around it.
        limit: of this timeout, in seconds.
    """
    if came_late(error, timeout):
        return f"takes longer than {limit:g} s"
    return f"{'failed:' if isinstance(error, SystemExit) else 'raised'} {in_words(error)}"
