"""What plugins do to the logging of the process must not silence it: it is one for all of them, and for the servers.

`dictConfig` and `fileConfig` switch off every logger that they do not name, `basicConfig(force=True)` and
`handlers.clear()` take the way into the log away, `logger.remove()` of loguru takes the log itself. Each is common in
programs that own their process. Here it changes what it may: levels, handlers and sinks that write elsewhere.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from opa._compat.loguru import logger
from opa.logging.standard import INTERCEPT_HANDLER, WRITTEN, InterceptHandler, ends_in_log

_CONFIGURES = "logging.config"


def keep_std_logging() -> None:
    """Whatever is done to the standard library's logging from now on, errors are written, and by the log."""
    root = logging.getLogger()
    if isinstance(root, KeptRoot):
        return
    root.__class__ = KeptRoot
    root.manager.__class__ = _KeptManager
    logging.Logger.disabled = _Disabled()  # type: ignore[assignment]
    logging.Logger.addHandler = _replaced_on_terminal(logging.Logger.addHandler)  # type: ignore[method-assign]
    logging.Logger.callHandlers = _led(logging.Logger.callHandlers)  # type: ignore[method-assign]
    # Of a logger that has no handler and no way to the root's, such as one of gunicorn's after handlers.clear().
    logging.lastResort = InterceptHandler(logging.WARNING)


class KeptRoot(logging.RootLogger):
    """The root logger, which is heard from level error on, and whose handlers never write beside the log."""

    @property
    def handlers(self) -> list[logging.Handler]:
        """Those of plugins and the one into the log, which may be taken out: the next record puts it back."""
        handlers: list[logging.Handler] = vars(self)["handlers"]
        return handlers

    @handlers.setter
    def handlers(self, handlers: list[logging.Handler]) -> None:
        vars(self)["handlers"] = [handler for handler in handlers if not ends_in_log(handler)]

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - the name is the standard library's
        """Set the level, up to error."""
        super().setLevel(level)
        if self.level > logging.ERROR:
            super().setLevel(logging.ERROR)


class _KeptManager(logging.Manager):
    @property
    def disable(self) -> int:
        """The level up to which nothing is written: up to warnings at most, see `logging.disable`."""
        level: int = logging.Manager.disable.fget(self)  # type: ignore[attr-defined]
        return min(level, logging.WARNING)

    @disable.setter
    def disable(self, level: int | str) -> None:
        logging.Manager.disable.fset(self, level)  # type: ignore[attr-defined]


class _Disabled:
    """`Logger.disabled`: true where someone has set it for a logger, and not for all those that there were.

    Without a `__get__`: every call of a logger reads it, and Python finds it among the logger's own attributes.
    """

    def __set__(self, instance: logging.Logger, value: bool) -> None:
        by_configuration = value and sys._getframe(1).f_globals.get("__name__") == _CONFIGURES
        vars(instance)["disabled"] = value and not by_configuration


def _replaced_on_terminal(add: Callable[[logging.Logger, logging.Handler], None]) -> Any:
    @functools.wraps(add)
    def add_handler(self: logging.Logger, handler: logging.Handler) -> None:
        add(self, InterceptHandler.in_place_of(handler) if ends_in_log(handler) else handler)

    return add_handler


def _led(call: Callable[[logging.Logger, logging.LogRecord], None]) -> Any:
    @functools.wraps(call)
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if INTERCEPT_HANDLER not in logging.root.handlers:
            logging.root.addHandler(INTERCEPT_HANDLER)
        call(self, record)

    return call_handlers


def keep_loguru(restore: Callable[[], None], is_own: Callable[[int], bool], complete: Callable[[Any], None]) -> None:
    """Whatever is done to loguru's logger from now on, the log is written.

    Args:
        restore: adds the sink of the log once more.
        is_own: whether that is the sink with this id.
        complete: the patcher of the log.
    """
    kind: Any = type(logger)
    add, remove, configure, disable = kind.add, kind.remove, kind.configure, kind.disable

    @functools.wraps(add)
    def adding(self: Any, sink: Any, **options: Any) -> int:
        if isinstance(sink, logging.Handler):
            sink = _OfLoguru(sink)
        if not any(sink is stream for stream in _streams()):
            return add(self, sink, **options)  # type: ignore[no-any-return]
        self.opt(depth=1).info(
            "a sink on the terminal is left out: the log is there already, see LOGLEVEL and LOG_FORMAT"
        )
        return _DEFAULT_SINK

    @functools.wraps(remove)
    def removing(self: Any, handler_id: int | None = None) -> None:
        # The default sink, which programs take away by its number, is the log's here.
        if handler_id is None or not (handler_id == _DEFAULT_SINK or is_own(handler_id)):
            remove(self, handler_id)
        if handler_id is None:
            restore()

    @functools.wraps(configure)
    def configuring(self: Any, **options: Any) -> Any:
        if patch := options.get("patcher"):

            def both(record: Any) -> None:
                patch(record)
                complete(record)

            options["patcher"] = both
        return configure(self, **options)

    @functools.wraps(disable)
    def disabling(self: Any, name: str | None) -> None:
        if name and name.partition(".")[0] != __name__.partition(".")[0]:
            disable(self, name)

    kind.add, kind.remove, kind.configure, kind.disable = adding, removing, configuring, disabling


class _OfLoguru(logging.Handler):
    """Hands lines of loguru, which are in the log, to a handler, which may lead them into the standard library's.

    From there they must not come back.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler

    def handle(self, record: logging.LogRecord) -> bool:
        vars(record)[WRITTEN] = True
        return bool(self._handler.handle(record))

    def close(self) -> None:
        self._handler.close()
        super().close()


_DEFAULT_SINK = 0


def _streams() -> tuple[Any, ...]:
    return (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
