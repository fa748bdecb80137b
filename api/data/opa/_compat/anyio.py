"""What is private in anyio, and used here. A version that has it elsewhere costs limits for threads, and no start."""

from __future__ import annotations

from typing import Any

_asyncio: Any = None
try:
    from anyio._backends import _asyncio
except ImportError:
    Limiter: Any = object
    """The limiter of threads, of an event loop of asyncio; `anyio.CapacityLimiter` only makes one."""
else:
    Limiter = getattr(_asyncio, "CapacityLimiter", object)


def set_thread_limiter(limiter: Any) -> None:
    """Have the threads of this event loop counted by a limiter, where nobody names another.

    Raises:
        Exception: this version of anyio keeps it elsewhere.
    """
    _asyncio._default_thread_limiter.set(limiter)


def abandon(portal: Any) -> None:
    """Have the way to an event loop lead nowhere: its thread is one of the parent of this process."""
    portal._event_loop_thread_id = None
