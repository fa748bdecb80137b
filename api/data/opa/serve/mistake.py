"""What a process that does not start because of a mistake tells the page that takes its place in development."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line, printable
from opa._util.reading import UnreadableError, read_text
from opa.errors import OpaError, SettingsError
from opa.process.error_report import trace_of

LINES_AROUND = 5
LONGEST_LINE, LONGEST_TRACE = 1000, 100_000
"""Characters that the page shows of a line, which may be a whole data set, and of the end of a traceback."""
_PLACE = re.compile(r"(?P<file>/.+):(?P<line>[0-9]{1,9})")


@dataclass(frozen=True)
class Mistake:
    """A mistake.

    Attributes:
        text: what is wrong, where, and what to do, in one line.
        trace: the traceback of what a plugin raised; empty without one.
        file: in which it is; empty where that is not known.
        line: the number of its line; 0 where that is not known.
        code: the lines around it.
        first: the number of the first of them.
    """

    text: str
    trace: str = ""
    file: str = ""
    line: int = 0
    code: tuple[str, ...] = ()
    first: int = 0


def write_mistakes(file: Path, error: OpaError) -> None:
    """Write the mistakes that `error` is into a file, for the page."""
    found = [asdict(mistake) for each in error.each for mistake in _mistakes(each)]
    file.write_text(json.dumps(found))


def read_mistakes(file: Path) -> tuple[Mistake, ...]:
    """What `write_mistakes` has written; none where it was not called."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return ()
    return tuple(Mistake(**{**each, "code": tuple(each["code"])}) for each in found)


def _mistakes(error: OpaError) -> Iterator[Mistake]:
    if isinstance(error, SettingsError) and len(error.mistakes) > 1:
        yield from (Mistake(in_one_line(mistake)) for mistake in error.mistakes)
        return
    place = _PLACE.fullmatch(error.where or "")
    file, line = (place["file"], int(place["line"])) if place else ("", 0)
    first = max(1, line - LINES_AROUND)
    yield Mistake(
        in_one_line(str(error)),
        trace_of(error)[-LONGEST_TRACE:],
        file,
        line,
        _code(file, first, line + LINES_AROUND),
        first,
    )


def _code(file: str, first: int, last: int) -> tuple[str, ...]:
    if not file.endswith(".py"):  # a file of settings may have secrets
        return ()
    try:
        lines = read_text(Path(file)).splitlines()
    except UnreadableError:
        return ()
    return tuple(printable(mask_text(line[: 10 * LONGEST_LINE]))[:LONGEST_LINE] for line in lines[first - 1 : last])
