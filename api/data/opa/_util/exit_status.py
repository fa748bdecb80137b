"""How a process has ended, in words."""

from __future__ import annotations

import signal


def how_it_ended(status: int) -> str:
    """`exit status 1` or `signal SIGKILL`.

    Args:
        status: the exit status, or minus the number of a signal, as `subprocess` gives it.
    """
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        # Those for real time have no names.
        return f"signal {-status}"
