"""The garbage collector, while a process loads what stays until its end."""

from __future__ import annotations

import contextlib
import gc
import io
from collections.abc import Iterator
from contextlib import contextmanager

_RESTING = 10_000_019
"""New objects after which there is a collection all the same. A prime, so that it is nobody else's choice."""


@contextmanager
def no_collection() -> Iterator[None]:
    """Let the garbage collector rest: what is made here stays, and to look for garbage in it costs half of the time.

    Not by `gc.disable()`: whether it is enabled, and how often it collects, may be chosen by a plugin that is imported
    in the block, and that has to hold afterwards.
    """
    often, *rarely = gc.get_threshold()
    gc.set_threshold(_RESTING, *rarely)
    try:
        yield
    finally:
        now, *rarely = gc.get_threshold()
        times, other = divmod(now, _RESTING)
        if times and not other:  # ten times as many, where a plugin has asked for ten times what it found
            gc.set_threshold(often * times, *rarely)


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


_WRITTEN_TO = frozenset({io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom})


def end_without_collection() -> None:
    """Have Python end without a look for garbage, which takes it a quarter of a second; to be called at the very end.

    What is in cycles is not finalized then. Files among it lose nothing, since all that are open are written to here.
    """
    gc.disable()
    for each in gc.get_objects():
        if type(each) in _WRITTEN_TO:
            with contextlib.suppress(Exception):  # it is closed, or cannot be written to
                each.flush()
    gc.freeze()
