"""Leads the standard library's logging into the log, and with it uvicorn, celery, pymongo and warnings."""

from __future__ import annotations

import logging
import os.path
import re
import sys
from typing import TYPE_CHECKING, Any

from loguru import logger

from opa.core.failed_request import in_words, take_note
from opa.core.log_arguments import Shown, std_arguments
from opa.core.log_lines import safe_repr, safe_str

if TYPE_CHECKING:
    from loguru import Record

TRACE = 5

# At level debug these write a line for each command, connection, look-up or look at a file, some with the user's data,
# or one every few seconds, as celery.beat does. They are heard at level trace.
CHATTY = (
    "amqp",
    "asyncio",
    "celery.beat",
    "celery.bootsteps",
    "celery.pool",
    "celery.utils.functional",
    "celery.worker.consumer",
    "kombu",
    "markdown_it",
    "parso",
    "pymongo",
    "redis",
    "watchfiles",
)

# What every record has, besides `extra`. `color_message` is uvicorn's message once more, with escape codes.
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "color_message",
    "message",
    "taskName",
}


_LEVELS_OF_BOTH = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})

# How warnings.formatwarning begins: the record itself says only that the module `warnings` wrote it.
_WARNED = re.compile(r"(?P<path>.+?):(?P<line>\d+): ")


class LeadIntoLog(logging.Handler):
    """Writes the records of the standard library's logging into the log, as their own caller wrote them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. What it holds may be wrong, such as arguments that do not fit its message."""
        # A server writes its line about an exception when the request has ended.
        note = take_note(record.exc_info[1]) if record.exc_info else {}

        def as_its_caller(line: Record) -> None:
            path, number = _place(record)
            line["name"] = record.name
            line["function"] = record.funcName or "<unknown>"
            line["line"] = number
            line["file"] = type(line["file"])(os.path.basename(path), path)  # type: ignore[call-arg]  # noqa: PTH119
            for key in vars(record).keys() - _OWN_ATTRIBUTES:
                line["extra"][key] = vars(record)[key]
            line["extra"].update(note)

        try:
            # A worker writes a line for each task: no `bind`, no `opt` without need, no Path, for they cost time.
            lead = logger.patch(as_its_caller)
            if record.exc_info:
                lead = lead.opt(exception=record.exc_info)
            lead.log(_level(record), f"{_text(record)}: {in_words(note)}" if note else _text(record))
        except Exception:  # noqa: BLE001  as every handler of the standard library: it reports, and the caller goes on
            self.handleError(record)


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
        text = _message(record)
    except Exception as failure:  # noqa: BLE001  arguments that do not fit, or whose str() fails
        text = (
            f"{safe_str(record.msg)} with {safe_repr(Shown(record.args))} ({type(failure).__name__}: they do not fit)"
        )
    return f"{text}\n{record.stack_info}" if record.stack_info else text.rstrip()


def _message(record: logging.LogRecord) -> str:
    arguments = std_arguments(record.args)
    if arguments is record.args and isinstance(record.msg, str):
        return record.getMessage()
    message = record.msg if isinstance(record.msg, str) else str(Shown(record.msg))
    return message % arguments if arguments else message


def lead_std_logging(level: int) -> None:
    """Make a handler that writes into the log the only one that ends on the terminal.

    Handlers that write elsewhere, such as into a file, stay. Call it again after a library has set up its
    own.

    Args:
        level: number below which nothing is written.
    """
    logging.addLevelName(TRACE, "TRACE")
    root = logging.getLogger()
    for name in [name for name, found in root.manager.loggerDict.items() if isinstance(found, logging.Logger)]:
        library = logging.getLogger(name)
        if _drop_terminal_handlers(library) and not library.handlers:
            library.propagate = True
    _drop_terminal_handlers(root)
    if not any(isinstance(handler, LeadIntoLog) for handler in root.handlers):
        root.addHandler(LeadIntoLog())
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level <= TRACE else logging.INFO)
    logging.captureWarnings(True)


def _drop_terminal_handlers(library: logging.Logger) -> bool:
    terminal: tuple[Any, ...] = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    dropped = [
        handler
        for handler in library.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream in terminal
    ]
    for handler in dropped:
        library.removeHandler(handler)
    return bool(dropped)
