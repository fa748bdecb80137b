"""Tracebacks: how an exception is written, and what happens to one that ends the process or a thread."""

from __future__ import annotations

import functools
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.core.settings import Config

Formatter = Callable[[BaseException, bool], str]


LINES_SHOWN = 400
"""Lines of a traceback without values. One of endless recursion has thousands, and a client may be the cause of it."""


def _without_values(error: BaseException, _colored: bool) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines(keepends=True)
    if len(lines) > LINES_SHOWN:
        half = LINES_SHOWN // 2
        lines[half:-half] = [f"  [{len(lines) - LINES_SHOWN} more lines]\n"]
    return "".join(lines)


_format: Formatter = _without_values


def format_exception(error: BaseException, *, colored: bool = False) -> str:
    """The traceback of `error` with its causes, and with the values of variables where `install` says so.

    Args:
        error: the exception; it never raises, whatever the exception's own methods do.
        colored: with the escape codes of a terminal.
    """
    try:
        return _format(error, colored)
    except Exception as failure:  # noqa: BLE001  a value that cannot be shown must not hide `error`
        return f"{_without_values(error, colored)}(no values: collecting them gave {failure!r})\n"


def install(config: Config) -> None:
    """Report what ends the process or a thread through the log; with values where BETTER_EXCEPTIONS is on.

    Args:
        config: `BETTER_EXCEPTIONS` turns the values on, `BETTER_EXCEPTIONS_MAX_LENGTH` is the longest
            that one value may be, in characters.
    """
    global _format  # noqa: PLW0603  how this process writes tracebacks is decided once, when it starts
    _format = _with_values(config.BETTER_EXCEPTIONS_MAX_LENGTH) if config.BETTER_EXCEPTIONS else _without_values
    _report_what_nothing_caught()


@functools.cache  # once a process: a hook that a plugin sets later, such as one of an error tracker, stays
def _report_what_nothing_caught() -> None:
    sys.excepthook = _report_end_of_process
    if threading.excepthook is threading.__excepthook__:  # or else somebody listens already, such as pytest
        threading.excepthook = _report_end_of_thread


FRAMES_SHOWN = 100


def _with_values(max_length: int) -> Formatter:
    import better_exceptions
    from better_exceptions.formatter import ExceptionFormatter

    class ValuesFormatter(ExceptionFormatter):  # type: ignore[misc]
        """better-exceptions 0.3.3 on Python 3.11 to 3.14. A method goes when a release does what it does."""

        def format_traceback(self, tb: TracebackType | None = None) -> tuple[str, str]:
            # Its own goes through traceback.format_list, which since 3.13 keeps only the first line of
            # a frame's source; the values are the lines after it.
            lines: list[str] = []
            source = ""
            while tb:
                (file, line, function, text), source = self.format_traceback_frame(tb)
                lines.append(f'  File "{file}", line {line}, in {function}\n    {text}\n')
                tb = tb.tb_next
            if len(lines) > FRAMES_SHOWN:  # endless recursion: as many values as frames would flood the log
                half = FRAMES_SHOWN // 2
                lines[half:-half] = [f"  [{len(lines) - FRAMES_SHOWN} more frames]\n"]
            return "".join(lines), source

        def colorize_tree(self, _tree: Any, source: str) -> str:
            return source  # its own uses ast.Str, which 3.14 does not have

        def _format_exception(
            self, value: BaseException, tb: TracebackType | None, seen: set[int] | None = None
        ) -> Iterator[str]:
            seen = set() if seen is None else seen
            yield from super()._format_exception(value, tb, seen)
            if isinstance(value, BaseExceptionGroup):  # its own leaves the exceptions in a group out
                for number, inner in enumerate(value.exceptions, 1):
                    text = "".join(self._format_exception(inner, inner.__traceback__, seen))
                    yield f"  {number} of {len(value.exceptions)}:\n{textwrap.indent(text, '  | ')}"

    def format_with_values(error: BaseException, colored: bool) -> str:
        formatter = ValuesFormatter(colored=colored, theme=better_exceptions.THEME, max_length=max_length)
        return "".join(formatter.format_exception(type(error), error, error.__traceback__))

    return format_with_values


def _report_end_of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    from opa.core.log import log

    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.opt(exception=(kind, error, trace)).critical("the process ends with an exception that nothing caught")


def _report_end_of_thread(args: threading.ExceptHookArgs) -> None:
    from opa.core.log import log

    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "unknown"
    failure = (args.exc_type, args.exc_value, args.exc_traceback)
    log.opt(exception=failure).error("thread {} ends with an exception that nothing caught", name)
