"""What a command prints, where that cannot be written: to a pipe that nobody reads any more, or to a full disk."""

from __future__ import annotations

import errno
import os
import select
import sys
from traceback import walk_tb

BROKEN_PIPE = 141
"""The exit status that a shell gives a program which SIGPIPE has ended."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_OUTPUTS = (1, 2)
"""Standard output and standard error."""


def status_without_output(error: OSError) -> int | None:
    """The exit status where the command has ended since its output cannot be written; None where that is not why.

    Of a full disk one line tells, and of a reader that is gone none, as with other programs. Nothing is written to the
    output any more, also when Python ends.

    Args:
        error: with which the command has ended. It does not say of which file it is.
    """
    if isinstance(error, BrokenPipeError):
        if not _is_of_rich(error) and not any(map(_has_no_reader, _OUTPUTS)):
            return None
        _discard(*_OUTPUTS)
        return BROKEN_PIPE
    full = next((each for each in _OUTPUTS if _is_full(each)), None) if error.errno in FULL else None
    if full is None:
        return None
    _discard(full)
    print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
    return 1


def _is_of_rich(error: BaseException) -> bool:
    """Whether it is from what rich prints, such as the help: rich has put something else in the place of the pipe."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] == "rich" for frame in frames)


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _is_full(descriptor: int) -> bool:
    try:
        os.write(descriptor, b"\n")
    except OSError as error:
        return error.errno in FULL
    return False


def _discard(*descriptors: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for each in descriptors:
        os.dup2(nowhere, each)
    os.close(nowhere)
