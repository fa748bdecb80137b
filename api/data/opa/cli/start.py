"""`opa start`."""

from __future__ import annotations


def start() -> None:
    """Run the mode that the environment variable MODE names, `api` by default. This is what the image runs."""
    from opa._util.garbage import frozen

    with frozen():  # from here to the application, or else a collection looks at all that was imported
        import os
        import signal
        import sys

        from opa.cli.beside_up import load_beside_up
        from opa.errors import OpaError
        from opa.process.error_report import print_start_error
        from opa.serve import mode
        from opa.settings.inherited import HANDED_VARIABLE

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until the server or Celery handles it, Ctrl-C ends the process, and raises nothing in the middle of a
        # start: in a callback of C Python would swallow it, with a stack trace.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        # `opa up` has told its own processes.
        mode.start(None if HANDED_VARIABLE in os.environ else load_beside_up)
    except OpaError as error:
        print_start_error(error)
        sys.exit(1)
