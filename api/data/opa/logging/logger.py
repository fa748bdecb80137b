"""`log`, the one logger of a process, and how it is set up as the settings say."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from opa._compat.loguru import logger
from opa._util.masking.secrets import looks_secret
from opa.errors import SettingsError
from opa.logging import tracebacks
from opa.logging.arguments import PLAIN, Shown, shown, text_without_braces
from opa.logging.kept import keep_std_logging
from opa.logging.levels import NAMES, is_heard_by_nobody, level_number
from opa.logging.lines import safe_repr
from opa.logging.standard import lead_handlers, lead_std_logging
from opa.logging.stderr import is_text, set_sink
from opa.logging.uncaught import report_what_nothing_caught

if TYPE_CHECKING:
    from loguru import Logger

    from opa.settings.load import Config

T = TypeVar("T")


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
            level = NAMES.get(level, level)
        self._write(level, message, args, kwargs)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is the standard library's
        """Whether lines of this level, a number, are written."""
        return not is_heard_by_nobody(level)

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
            if is_heard_by_nobody(level):
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
    set_sink(level, as_text=is_text(chosen))
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


log = Log(logger)
