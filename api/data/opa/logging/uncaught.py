"""What ends the process, or a thread, is written into the log."""

from __future__ import annotations

import functools
import sys
import threading
from functools import partial
from types import TracebackType
from typing import Any, Protocol


class Log(Protocol):
    """The log, which hands itself over: it is set up above this."""

    def opt(self, **options: Any) -> Any:
        """The log for one call."""


@functools.cache  # once a process: a hook that a plugin sets later, such as one of an error tracker, stays
def report_what_nothing_caught(log: Log) -> None:
    """Write what ends the process, or a thread, into `log`."""
    sys.excepthook = partial(_report_end_of_process, log)
    if threading.excepthook is threading.__excepthook__:  # or else someone listens already, such as pytest
        threading.excepthook = partial(_report_end_of_thread, log)


def _report_end_of_process(
    log: Log, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.opt(exception=(kind, error, trace)).critical("the process ends with an exception that nothing caught")


def _report_end_of_thread(log: Log, args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "unknown"
    failure = (args.exc_type, args.exc_value, args.exc_traceback)
    log.opt(exception=failure).error("thread {} ends with an exception that nothing caught", name)
