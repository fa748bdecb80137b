"""How lines of the log get to standard error: which, in which form, and with what is known besides.

They do from the first call on. Until the settings have been read, the environment variables `OPA_LOGLEVEL` and
`OPA_LOG_FORMAT` say how.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opa._compat.loguru import core, default_sink, logger
from opa._util.printable import encodable
from opa.context import current_context
from opa.current import current
from opa.logging.arguments import Shown
from opa.logging.kept import keep_loguru
from opa.logging.levels import LEVELS
from opa.logging.lines import json_line, text_line
from opa.logging.standard import TRACE
from opa.settings.inherited import process_of_up

if TYPE_CHECKING:
    from loguru import Record


def writes_text() -> bool:
    """Whether the log is text, for people, and not JSON."""
    return current.log_is_text


def is_text(chosen: str) -> bool:
    """Whether lines are text, where LOG_FORMAT is `chosen`."""
    return chosen == "text" or (chosen != "json" and (os.environ.get("ENV") == "dev" or _is_terminal()))


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _wants_colors() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (_is_terminal() and os.environ.get("TERM") != "dumb")


def write_to_this_stderr() -> None:
    """Write to what is standard error now, also where a plugin replaces it: it would do so for all threads."""
    current.log_stream = sys.stderr


def _to_stderr(line: str) -> None:
    stream = current.log_stream
    if stream is None or stream.closed:
        stream = sys.stderr  # looked up at each line: it may be replaced, as by a test
    if stream is not None:
        try:
            stream.write(line)
        except UnicodeEncodeError:  # it was replaced by one that refuses what its encoding does not have
            stream.write(encodable(line, stream.encoding or "ascii"))
        stream.flush()


def set_sink(level: int, *, as_text: bool) -> None:
    """Write lines from a level on, as text for people or as JSON; the sink of before is removed."""
    colored = as_text and _wants_colors()
    wanted = (level, as_text, colored, process_of_up())
    if wanted == current.log_line and current.log_sink in core.handlers:
        return  # as an application of a test before: another sink would take a tenth of its start
    line, is_shown = _line(as_text, colored, is_all=level <= TRACE)
    added = _add(
        _to_stderr,
        level=level,
        format=line,
        filter=is_shown,
        colorize=colored,
        backtrace=False,
        diagnose=False,  # values of variables are shown by opa.logging.tracebacks, where the settings ask for it
        catch=True,
    )
    handler: Any = core.handlers[added]
    handler.__class__ = _without_raw(handler.__class__)
    if current.log_sink is not None:
        with contextlib.suppress(ValueError):  # someone has removed it
            _remove(current.log_sink)
    current.log_sink, current.log_level, current.log_is_text, current.log_line = added, level, as_text, wanted


def set_sink_by_environment() -> None:
    """Write lines as the environment says, before the settings have been read."""
    level = LEVELS.get(os.environ.get("OPA_LOGLEVEL", "").lower(), LEVELS["info"])
    set_sink(level, as_text=is_text(os.environ.get("OPA_LOG_FORMAT", "auto").lower()))


@functools.cache
def _without_raw(kind: Any) -> Any:
    """A kind of loguru's handler that writes a line also where the caller asks for the message as it is.

    That would be no JSON, neither masked nor printable, and could be taken for other lines.
    """

    class InLines(kind):  # type: ignore[misc]
        def emit(self, record: Any, level: Any, decorated: Any, is_raw: bool, colored: Any) -> None:
            if is_raw:
                record = {**record, "message": record["message"].rstrip("\r\n")}
            super().emit(record, level, decorated, False, colored)

    return InLines


def _line(
    as_text: bool, colored: bool, *, is_all: bool
) -> tuple[Callable[[Record], str], Callable[[Record], bool] | None]:
    """How a line is written, and which are."""
    if not as_text:
        return json_line, None
    process = process_of_up()
    if not process:
        return functools.partial(text_line, colored=colored, is_folded=not is_all), None
    from opa.logging import up as log_up

    line = functools.partial(log_up.up_line, process=process, colored=colored, is_folded=not is_all)
    return line, None if is_all else functools.partial(log_up.is_shown, process=process)


def _complete(line: Record) -> None:
    """Add the id of the request; and what stood for arguments in the message is the arguments themselves again."""
    extra = line["extra"]
    if extra:
        for name, value in extra.items():
            if type(value) is Shown:
                extra[name] = value.value
    context = current_context.get()
    if context.request_id is not None:
        extra.setdefault("request_id", context.request_id.decode())
    if context.actor is not None:
        extra.setdefault("actor", context.actor.id)
    for fields in current.log_fields:
        with contextlib.suppress(Exception):  # a line must not fail because of what a plugin adds to it
            for name, value in fields().items():
                extra.setdefault(name, value)


logger.configure(patcher=_complete)
_add, _remove = logger.add, logger.remove  # before they are made to keep the log
if current.log_sink is None:
    current.log_sink = default_sink()  # the log takes its place
set_sink_by_environment()
keep_loguru(
    restore=lambda: set_sink(current.log_level, as_text=current.log_is_text),
    is_own=lambda number: number == current.log_sink,
    complete=_complete,
)
