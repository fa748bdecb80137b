"""What a process waits for while it starts, said by the code that waits to whoever asks whether it is ready.

And which step of the start it is in. A process that is told to stop meanwhile cancels the step, and stops what has
started. Code that blocks, such as `time.sleep` in a `Setup`, cannot be cancelled: after `STOP_LIMIT` seconds the
process ends all the same, and the log says in which step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa.current import current

LONGEST = 300
"""Characters of what is said: it stands in each answer to a probe."""
STOP_LIMIT = 5.0
"""Seconds that a step of a start may go on in a process that is told to stop: half of what Docker gives to a stop."""


@contextmanager
def waiting_for(what: str) -> Iterator[Callable[[str], None]]:
    """In the block, this process says that it waits, and for what: at READY_URL, or to the health check of a worker.

    For what may take long in `ready`, `startup` or a `Setup`. Where the process has started already it has no effect.
    It may be used in several threads.

    Args:
        what: read by anyone who may ask whether the process is ready, so without names of hosts. Secrets are masked.

    Gives what says something else, such as how far it has come.
    """
    mark = object()

    def say(what: str) -> None:
        if mark in current.start_waits:
            _set(mark, what)

    current.start_waits[mark] = ""
    _set(mark, what)
    try:
        yield say
    finally:
        del current.start_waits[mark]
        _tell()


def start_waits() -> str:
    """What this process waits for; empty where it is nothing."""
    return "; ".join(filter(None, tuple(current.start_waits.values())))


@contextmanager
def start_waits_told(tell: Callable[[str], None]) -> Iterator[None]:
    """In the block, the process starts: `tell` is called with what `start_waits` gives, as often as that changes.

    Args:
        tell: called in any thread.
    """
    current.start_listener = tell
    try:
        yield
    finally:
        current.start_listener = None


def note_step(what: str) -> None:
    """From now on the process is in this step of its start.

    Args:
        what: with the plugin and the file, for the log; empty where it is in none, since it has started, or stops.
    """
    current.start_step = what
    if current.step_listener is not None:
        current.step_listener(what)


def words_for_end(step: str) -> str:
    """What the log says of a process that is told to stop while it starts, and is ended in `step`."""
    return f"told to stop while it starts, it does not leave {step}, and is ended there"


def _set(mark: object, what: str) -> None:
    current.start_waits[mark] = in_one_line(mask_text(what))[:LONGEST]
    _tell()


def _tell() -> None:
    tell = current.start_listener
    if tell is not None:
        tell(start_waits())
