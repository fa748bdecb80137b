"""Leads the standard library's logging into the log, and with it uvicorn, celery, pymongo and warnings."""

from __future__ import annotations

import dis
import logging
import os.path
import sys
from collections.abc import Collection
from types import CodeType
from typing import TYPE_CHECKING, Any

from opa._compat.loguru import logger
from opa._util.patterns import lazy_pattern
from opa.logging.arguments import Shown, std_message
from opa.logging.failed_request import in_words, take_note
from opa.logging.lines import safe_repr, safe_str

if TYPE_CHECKING:
    from loguru import Record

TRACE = 5

# At level debug these write a line for each command, connection, look-up or look at a file, some with the user's data,
# or one every few seconds, as celery.beat does. They are heard at level trace.
CHATTY = (
    "aiosqlite",
    "amqp",
    "asyncio",
    "celery.beat",
    "celery.bootsteps",
    "celery.pool",
    "celery.utils.functional",
    "celery.worker.consumer",
    "httpcore",
    "httpcore2",
    "kombu",
    "markdown_it",
    "parso",
    "pymongo",
    "redis",
    "watchfiles",
)

# Marks a record that is in the log. It says no more: handlers that come after pickle what a record holds.
WRITTEN = "_opa_written"

# What every record has, besides `extra`. `color_message` is uvicorn's message once more, with escape codes.
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "color_message",
    "message",
    "taskName",
    WRITTEN,
}

_LEVELS_OF_BOTH = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})

# How warnings.formatwarning begins: the record itself says only that the module `warnings` wrote it.
_WARNED = lazy_pattern(r"(?P<path>.+?):(?P<line>\d+): ")


class InterceptHandler(logging.Handler):
    """Writes the records of the standard library's logging into the log, as their own caller wrote them."""

    @classmethod
    def in_place_of(cls, handler: logging.Handler) -> InterceptHandler:
        """One that writes the records that `handler` would."""
        lead = cls(handler.level)
        lead.filters = list(handler.filters)
        return lead

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, once. What it holds may be wrong, such as arguments that do not fit its message."""
        if WRITTEN in vars(record):  # by the handler of another logger on its way
            return
        vars(record)[WRITTEN] = True
        # A server writes its line about an exception when the request has ended.
        note = take_note(record.exc_info[1]) if record.exc_info else {}

        def as_its_caller(line: Record) -> None:
            path, number = _place(record)
            line["name"] = record.name
            line["function"] = record.funcName or "<unknown>"
            line["line"] = number
            line["file"] = type(line["file"])(os.path.basename(path), path)  # type: ignore[call-arg]  # noqa: PTH119
            for key, value in vars(record).items():
                if key not in _OWN_ATTRIBUTES:
                    line["extra"][key] = value
            line["extra"].update(note)

        try:
            # A worker writes a line for each task: no `bind`, no `opt` without need, no Path, for they cost time.
            lead = logger.patch(as_its_caller)
            if record.exc_info:
                lead = lead.opt(exception=record.exc_info)
            lead.log(_level(record), f"{_text(record)}: {in_words(note)}" if note else _text(record))
        except Exception:  # noqa: BLE001  as every handler of the standard library: it reports, and the caller goes on
            self.handleError(record)


INTERCEPT_HANDLER = InterceptHandler()
"""The one of the root logger."""


def _level(record: logging.LogRecord) -> str | int:
    if record.levelname in _LEVELS_OF_BOTH:
        return record.levelname
    try:
        return logger.level(record.levelname).name
    except ValueError:  # a level of the library's own
        return record.levelno


def _place(record: logging.LogRecord) -> tuple[str, int]:
    if record.name == "py.warnings" and (warned := _WARNED.match(_text(record))):
        return warned["path"], int(warned["line"])
    return record.pathname, record.lineno


def _text(record: logging.LogRecord) -> str:
    try:
        text = std_message(record)
    except Exception as failure:  # noqa: BLE001  arguments that do not fit, or whose str() fails
        text = (
            f"{safe_str(record.msg)} with {safe_repr(Shown(record.args))} ({type(failure).__name__}: they do not fit)"
        )
    return f"{text}\n{record.stack_info}" if record.stack_info else text.rstrip()


def lead_std_logging(level: int) -> None:
    """Make a handler that writes into the log the only one that ends on the terminal.

    Handlers that write elsewhere, such as into a file, stay. Call it again after a library has set up its
    own.

    Args:
        level: number below which nothing is written.
    """
    logging.addLevelName(TRACE, "TRACE")
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level <= TRACE else logging.INFO)
    lead_handlers(level)


def lead_handlers(level: int) -> None:
    """The same, and the levels of libraries stay as they are."""
    root = logging.getLogger()
    for name in [name for name, found in root.manager.loggerDict.items() if isinstance(found, logging.Logger)]:
        library = logging.getLogger(name)
        if _drop_terminal_handlers(library) and not library.handlers:
            library.propagate = True
    _drop_terminal_handlers(root)
    root.addHandler(INTERCEPT_HANDLER)
    root.setLevel(level)
    logging.disable(logging.NOTSET)
    logging.captureWarnings(True)


def _drop_terminal_handlers(library: logging.Logger) -> bool:
    dropped = [handler for handler in library.handlers if ends_in_log(handler)]
    for handler in dropped:
        library.removeHandler(handler)
    return bool(dropped)


def ends_in_log(handler: logging.Handler) -> bool:
    """Whether what `handler` writes would stand beside the log on the terminal, or come into it once more."""
    terminal: tuple[Any, ...] = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    if isinstance(handler, logging.FileHandler):
        return handler.baseFilename in _TERMINAL_FILES
    if isinstance(handler, logging.StreamHandler):
        return handler.stream in terminal
    console = getattr(handler, "console", None)  # of rich
    return getattr(console, "file", None) in terminal if console is not None else _writes_by_loguru(handler)


_TERMINAL_FILES = frozenset({"/dev/stdout", "/dev/stderr", "/proc/1/fd/1", "/proc/1/fd/2", "/proc/self/fd/1"})


def _writes_by_loguru(handler: logging.Handler) -> bool:
    """Whether it hands its records to loguru, as the `InterceptHandler` of loguru's pages does.

    One that sends them elsewhere may write a line of its own by loguru: it stays.
    """
    emit = type(handler).emit
    if isinstance(handler, InterceptHandler) or not hasattr(emit, "__code__"):
        return False
    code, values = emit.__code__, emit.__globals__
    names = {name for name in code.co_names if type(values.get(name)) is type(logger)}
    if "loguru" in code.co_names:  # it is imported there
        names.add("logger")
    if not names:
        return False
    return type(handler).__name__ == "InterceptHandler" or _calls_log_of(names, code)


def _calls_log_of(names: Collection[str], code: CodeType) -> bool:
    """Whether a statement of `code` is `logger.log(…)`, or `logger.opt(…).log(…)`, of a logger under one of `names`."""
    statement: list[str] = []
    for step in dis.get_instructions(code):
        if step.opname.startswith("LOAD_") and isinstance(step.argval, str):
            if step.argval in names:
                statement = [step.argval]
            elif statement:
                statement.append(step.argval)
        elif step.opname.startswith(("POP_TOP", "STORE_", "RETURN_")):
            statement = []
        if "log" in statement[1:] and statement[1] in _LOGURU_METHODS:
            return True
    return False


_LOGURU_METHODS = frozenset({"bind", "log", "opt", "patch"})
