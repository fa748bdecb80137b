"""`log`, the one logger of a process, and how it is set up.

It writes to standard error from the first call on. Until `setup_logging` has read the settings, the
environment variables `OPA_LOGLEVEL` and `OPA_LOG_FORMAT` say how.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from loguru import logger

from opa._compat.loguru import core, default_sink
from opa._util.masking.secrets import looks_secret
from opa._util.printable import encodable
from opa.context import current_context
from opa.current import current
from opa.errors import SettingsError
from opa.logging import tracebacks
from opa.logging.arguments import PLAIN, Shown, shown, text_without_braces
from opa.logging.kept import keep_loguru, keep_std_logging
from opa.logging.lines import json_line, safe_repr, text_line
from opa.logging.standard import TRACE, lead_handlers, lead_std_logging
from opa.logging.uncaught import report_what_nothing_caught
from opa.settings.inherited import process_of_up

if TYPE_CHECKING:
    from loguru import Logger, Record

    from opa.settings.load import Config

T = TypeVar("T")

LEVELS = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "success": 25,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "fatal": 50,
    "critical": 50,
}


class Log:
    """Loguru's logger, which never raises into its caller and takes an object through `|`.

    `log.info("…")` and the other levels, `bind`, `opt`, `catch`, `contextualize` and the rest are loguru's.
    `obj | log` writes `obj` at level debug and gives the very same `obj`, so it fits into any expression.

    Code that was written for the standard library's logging works: values for `%`, and `exc_info`, `stack_info`,
    `stacklevel` and `extra`.
    """

    # numpy's arrays would otherwise apply `|` to each of their elements.
    __array_ufunc__ = None

    def __init__(self, wrapped: Logger, bound: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._wrapped = wrapped
        self._bound = bound or {}
        self._options = options
        depth = options.get("depth", 0)
        self._for_caller = wrapped.opt(**{**options, "depth": depth + 2})
        self._for_object = wrapped.opt(**{**options, "depth": depth + 1, "lazy": True})

    def __ror__(self, obj: T) -> T:
        self._for_object.debug("{}", functools.partial(_describe, obj))
        return obj

    def trace(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 5; like every level, `message` is filled by `str.format` when there are arguments."""
        self._write("TRACE", message, args, kwargs)

    def debug(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 10."""
        self._write("DEBUG", message, args, kwargs)

    def info(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 20."""
        self._write("INFO", message, args, kwargs)

    def success(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 25."""
        self._write("SUCCESS", message, args, kwargs)

    def warning(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 30."""
        self._write("WARNING", message, args, kwargs)

    warn = warning

    def error(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 40."""
        self._write("ERROR", message, args, kwargs)

    def critical(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 50."""
        self._write("CRITICAL", message, args, kwargs)

    fatal = critical

    def exception(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at level 40, with the exception that is being handled."""
        self.opt(exception=True, depth=1 + self._options.get("depth", 0)).error(message, *args, **kwargs)

    def log(self, level: str | int, message: object, *args: Any, **kwargs: Any) -> None:
        """Log at a level by its name, in any case, or its number."""
        if isinstance(level, str):
            level = level.upper()
        elif isinstance(level, int):
            level = _NAMES.get(level, level)
        self._write(level, message, args, kwargs)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is the standard library's
        """Whether lines of this level, a number, are written."""
        return not _is_heard_by_nobody(level)

    def bind(self, **extra: Any) -> Log:
        """A log that adds `extra` to each of its lines."""
        return Log(self._wrapped.bind(**extra), {**self._bound, **extra}, **self._options)

    def opt(self, **options: Any) -> Log:
        """A log with loguru's options for one call: `exception`, `depth`, `lazy`, `colors`.

        `raw` holds for sinks of the user's own: the log writes lines and nothing else.
        """
        return Log(self._wrapped, self._bound, **{**self._options, **options})

    def __copy__(self) -> Log:
        return self  # nothing in it ever changes

    def __deepcopy__(self, _memo: object) -> Log:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "log" if self is log else (_made_again, (self._bound, self._options))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # an object that is being made has none of its own yet
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    def _write(self, level: str | int, message: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        logger = self._for_caller
        try:
            if _is_heard_by_nobody(level):
                return
            if kwargs and (not _OF_STANDARD_LIBRARY.isdisjoint(kwargs) or isinstance(kwargs.get("extra"), Mapping)):
                self._as_standard_library(kwargs)._write(level, message, args, kwargs)
                return
            if args and isinstance(message, str) and message.count("{") < len(args) and not self._options.get("lazy"):
                text = text_without_braces(message, args)
                if text is not None:
                    logger.bind(**kwargs).log(level, text)
                    return
            if args or kwargs:
                show = _shown_late if self._options.get("lazy") else shown
                if not PLAIN.issuperset(map(type, args)):
                    args = tuple(map(show, args))
                for name, value in kwargs.items():
                    if type(value) not in PLAIN or looks_secret(name):
                        kwargs[name] = show(value, name)
            elif not isinstance(message, str):
                message = Shown(message)
            logger.log(level, message, *args, **kwargs)
        except Exception as failure:  # noqa: BLE001  whatever is wrong with a message, the caller goes on
            text = message if isinstance(message, str) else safe_repr(message)
            what = "".join(f", {safe_repr(shown(value))}" for value in (*args, *kwargs.values()))
            logger.warning(f"{text}{what} (cannot be logged as asked: {safe_repr(failure)})")

    def _as_standard_library(self, kwargs: dict[str, Any]) -> Log:
        """A log for one call with arguments of the standard library's logging, which are taken out of `kwargs`."""
        exception = kwargs.pop("exc_info", None)
        level = kwargs.pop("stacklevel", 1)
        depth = self._options.get("depth", 0) + 1
        if isinstance(level, int) and level > 1:
            depth = _depth_that_there_is(depth + level - 1)
        options: dict[str, Any] = {"depth": depth}
        if exception:
            options["exception"] = exception if isinstance(exception, BaseException | tuple) else True
        fields = {}
        if kwargs.pop("stack_info", False):
            fields["stack"] = "".join(traceback.format_stack(sys._getframe(depth + 2)))
        if isinstance(kwargs.get("extra"), Mapping):
            fields.update({str(name): value for name, value in kwargs.pop("extra").items()})
        return self.bind(**fields).opt(**options) if fields else self.opt(**options)


_OF_STANDARD_LIBRARY = frozenset({"exc_info", "stack_info", "stacklevel"})


_NUMBERS = {name.upper(): number for name, number in LEVELS.items()}
_NAMES = {number: name for name, number in _NUMBERS.items() if name not in ("WARN", "FATAL")}


def _is_heard_by_nobody(level: str | int) -> bool:
    """Whether no sink writes lines of this level, as loguru asks it: before that the message would be formatted."""
    number = _NUMBERS.get(level, 0) if isinstance(level, str) else level
    return bool(0 < number < core.min_level)


def _depth_that_there_is(depth: int) -> int:
    """The number of frames to go out, or those to the outermost frame, as the standard library does."""
    frame = sys._getframe(3)
    for found in range(depth):
        if frame.f_back is None:
            return found
        frame = frame.f_back
    return depth


def _made_again(bound: dict[str, Any], options: dict[str, Any]) -> Log:
    return log.bind(**bound).opt(**options)


def _shown_late(make: Callable[[], Any], name: str = "") -> Callable[[], Any]:
    return lambda: shown(make(), name)


def _describe(obj: object) -> str:
    kind = type(obj)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {safe_repr(Shown(obj))}"


def level_number(level: str | int) -> int:
    """The number of a level.

    Args:
        level: a name in any case (uvicorn's `trace` among them), or a number, also as a string.

    Raises:
        SettingsError: there is no such level.
    """
    if isinstance(level, int) and not isinstance(level, bool) and level >= 0:
        return level
    text = str(level).strip().lower()
    if text.isdecimal():
        return int(text)
    if text not in LEVELS:
        raise SettingsError(f"setting LOGLEVEL is {level!r}", hint=f"It is a number, or one of {', '.join(LEVELS)}")
    return LEVELS[text]


def setup_logging(config: Config) -> None:
    """Set the log up as the settings say, and lead into it the standard library's logging and what nothing caught.

    It may be called again: for changed settings, or after a server has set up handlers of its own. Sinks that
    a plugin has added stay.

    Args:
        config: reads `LOGLEVEL`, and `LOG_FORMAT`: `json`, `text`, or `auto`, which is text in the env `dev`
            and on a terminal, and JSON otherwise; and what `opa.logging.tracebacks.install` reads.

    Raises:
        SettingsError: one of the two has an unknown value.
    """
    level = level_number(config.LOGLEVEL)
    chosen = str(config.LOG_FORMAT).lower()
    if chosen not in {"auto", "json", "text"}:
        raise SettingsError(f"setting LOG_FORMAT is {config.LOG_FORMAT!r}", hint="It is auto, json or text")
    _write_to_stderr(level, as_text=_is_text(chosen))
    keep_std_logging()
    lead_std_logging(level)
    tracebacks.install(config)
    report_what_nothing_caught(log)


def keep_logging(config: Config) -> None:
    """Put back what a plugin may have changed, after code of one has run; `setup_logging` has been called.

    Args:
        config: reads `LOGLEVEL`.
    """
    lead_handlers(level_number(config.LOGLEVEL))


def writes_text() -> bool:
    """Whether the log is text, for people, and not JSON."""
    return current.log_is_text


def _is_text(chosen: str) -> bool:
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


def _write_to_stderr(level: int, *, as_text: bool) -> None:
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
_write_to_stderr(
    LEVELS.get(os.environ.get("OPA_LOGLEVEL", "").lower(), LEVELS["info"]),
    as_text=_is_text(os.environ.get("OPA_LOG_FORMAT", "auto").lower()),
)
keep_loguru(
    restore=lambda: _write_to_stderr(current.log_level, as_text=current.log_is_text),
    is_own=lambda number: number == current.log_sink,
    complete=_complete,
)
log = Log(logger)
