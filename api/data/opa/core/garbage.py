"""The garbage collector, while a process loads what stays until its end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Let the garbage collector rest: what is made here stays, and to look for garbage in it costs half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def kept_for_forks() -> Iterator[None]:
    """What is made in the block is never looked at by the garbage collector, here or in a fork of this process.

    To look at an object is to write to its memory, and a fork shares memory with its parent until one of them writes.
    There is no collection first: the pages that it frees are written to by the next objects, in each process by others
    (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    with no_collection():
        yield
        gc.freeze()
