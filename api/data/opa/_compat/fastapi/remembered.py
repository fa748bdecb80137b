"""What FastAPI remembers of functions of any application of this process."""

from __future__ import annotations

from fastapi.dependencies import models

KINDS = ("_is_gen_callable_cached", "_is_async_gen_callable_cached", "_is_coroutine_callable_cached")
"""Caches of what kind of function each endpoint and dependency is: thousands of them, each with its module."""


def forget_functions() -> None:
    """Let go of the functions of earlier applications, and of all that these hold; FastAPI finds out anew."""
    for name in KINDS:
        clear = getattr(getattr(models, name, None), "cache_clear", None)  # of the newer versions
        if clear is not None:
            clear()
