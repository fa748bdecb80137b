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
def frozen() -> Iterator[None]:
    """What is made in the block is out of the garbage collector's sight from then on, in this process and in its forks.

    A full collection looks at everything: with a thousand plugins that is a second in which nothing is served. And to
    look at an object is to write to its memory, which a fork shares with its parent until one of them writes. There is
    no collection first: it frees pages among those of what stays, and the next objects in them are written to, in each
    fork for itself (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    with no_collection():
        yield
        gc.freeze()
