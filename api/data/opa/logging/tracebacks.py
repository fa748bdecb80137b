"""Tracebacks: how an exception is written."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Callable, Iterator
from operator import itemgetter
from secrets import token_hex
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from opa._util.masking.secrets import MASK, looks_secret_in_text, mask_text, masked
from opa._util.printable import printable
from opa.current import current
from opa.logging.folding import fold, folded

if TYPE_CHECKING:
    from opa.settings.load import Config

Formatter = Callable[[BaseException, bool, bool], str]
"""Gives the text of an exception, in color or not, and folded or not."""


LINES_SHOWN = 400
"""Lines of a traceback without values. One of endless recursion has thousands, and a client may be the cause of it."""


def _without_values(error: BaseException, _colored: bool, is_folded: bool) -> str:
    trace = traceback.TracebackException.from_exception(error, compact=True)
    lines = "".join((fold(trace) if is_folded else trace).format()).splitlines(keepends=True)
    if len(lines) > LINES_SHOWN:
        half = LINES_SHOWN // 2
        lines[half:-half] = [f"  [{len(lines) - LINES_SHOWN} more lines]\n"]
    return "".join(lines)


def format_exception(error: BaseException, *, colored: bool = False, is_folded: bool = False) -> str:
    """The traceback of `error` with its causes, and with the values of variables where `install` says so.

    Secrets are masked, and control characters are shown as escapes.

    Args:
        error: the exception; it never raises, whatever the exception's own methods do.
        colored: with the escape codes of a terminal.
        is_folded: frames of libraries are a line together, see `opa.logging.folding`.
    """
    try:
        text = (current.traceback_format or _without_values)(error, colored, is_folded)
    except Exception as failure:  # noqa: BLE001  a value that cannot be shown must not hide `error`
        text = f"{_without_values(error, colored, is_folded)}(no values: collecting them gave {failure!r})\n"
    text = printable(mask_text(text))
    return text.replace(_COLOR, "\x1b") if colored else text


def install(config: Config) -> None:
    """Write tracebacks with the values of variables where BETTER_EXCEPTIONS is on.

    Args:
        config: `BETTER_EXCEPTIONS` turns the values on, `BETTER_EXCEPTIONS_MAX_LENGTH` is the longest
            that one value may be, in characters.
    """
    current.traceback_format = _with_values(config.BETTER_EXCEPTIONS_MAX_LENGTH) if config.BETTER_EXCEPTIONS else None


FRAMES_SHOWN = 100

# In place of the escape character until the traceback, which may have escapes of its own, has been made printable:
# a text that nothing else contains.
_COLOR = f"<{token_hex(8)}>"


def _with_values(max_length: int) -> Formatter:
    import better_exceptions

    from opa._compat.better_exceptions import ExceptionFormatter

    class ValuesFormatter(ExceptionFormatter):
        """better-exceptions 0.3.3 on Python 3.11 to 3.14. A method goes when a release does what it does."""

        is_folded = False

        def format_traceback(self, tb: TracebackType | None = None) -> tuple[str, str]:
            # Its own goes through traceback.format_list, which since 3.13 keeps only the first line of
            # a frame's source; the values are the lines after it.
            lines: list[str] = []
            source = ""
            frames = list(_frames_of(tb))
            for part in folded(frames, _place_of) if self.is_folded else [frames]:
                if isinstance(part, str):
                    lines.append(part)
                    source = ""
                    continue
                for each in part:
                    (file, line, function, text), source = self.format_traceback_frame(each)
                    lines.append(f'  File "{file}", line {line}, in {function}\n    {text}\n')
            if len(lines) > FRAMES_SHOWN:  # endless recursion: as many values as frames would flood the log
                half = FRAMES_SHOWN // 2
                lines[half:-half] = [f"  [{len(lines) - FRAMES_SHOWN} more frames]\n"]
            return "".join(lines), source

        def colorize_tree(self, _tree: Any, source: str) -> str:
            return source  # its own uses ast.Str, which 3.14 does not have

        def get_relevant_values(self, source: str, frame: FrameType, tree: Any) -> list[tuple[str, int, str]]:
            # Its own hands on the values without their names.
            scopes = (frame.f_locals, frame.f_globals)
            values = [
                (node.id, node.col_offset, _value_shown(node.id, scope[node.id], max_length))
                for node in self.get_relevant_names(source, tree)
                for scope in scopes
                if node.id in scope and (scope is scopes[0] or node.id not in scopes[0])
            ]
            return sorted(values, key=itemgetter(1))

        def parts_of(
            self, value: BaseException, tb: TracebackType | None, seen: set[int] | None = None
        ) -> Iterator[str]:
            seen = set() if seen is None else seen
            yield from super().parts_of(value, tb, seen)
            if isinstance(value, BaseExceptionGroup):  # its own leaves the exceptions in a group out
                for number, inner in enumerate(value.exceptions, 1):
                    text = "".join(self.parts_of(inner, inner.__traceback__, seen))
                    yield f"  {number} of {len(value.exceptions)}:\n{textwrap.indent(text, '  | ')}"

    theme = {name: _with_stand_in(paint) for name, paint in better_exceptions.THEME.items()}

    def format_with_values(error: BaseException, colored: bool, is_folded: bool) -> str:
        formatter = ValuesFormatter(colored=colored, theme=theme, max_length=max_length)
        formatter.is_folded = is_folded
        return "".join(formatter.format_exception(type(error), error, error.__traceback__))

    return format_with_values


def _frames_of(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace:
        yield trace
        trace = trace.tb_next


def _place_of(trace: TracebackType) -> tuple[str, int, str]:
    code = trace.tb_frame.f_code
    return code.co_filename, trace.tb_lineno, code.co_name


def _with_stand_in(paint: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: paint(text.replace("\x1b", "\\x1b")).replace("\x1b", _COLOR)


_MASKED_IN_FULL = 4096
"""So much of a value is masked beyond the part that is shown: a token that is cut off could not be told any more."""


def _value_shown(name: str, value: Any, max_length: int | None) -> str:
    if looks_secret_in_text(name) and not (value is None or isinstance(value, bool) or callable(value)):
        return MASK
    try:
        text = repr(masked(value))
    except RecursionError:  # it holds itself
        text = repr(value)
    except Exception:  # noqa: BLE001  whatever is wrong with a value, the others are shown
        return f"<unprintable {type(value).__name__} object>"
    if max_length is None:
        return mask_text(text)
    text = mask_text(text[: max_length + _MASKED_IN_FULL])
    return text if len(text) <= max_length else f"{text[:max_length]}..."
