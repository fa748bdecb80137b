"""The command `opa`, also as `python -m opa`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command. Ctrl-C while it is imported, which takes a second, is an end and not a stack trace."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from opa.cli import main as run

    signal.signal(signal.SIGINT, handler)
    run()


if __name__ == "__main__":
    main()
