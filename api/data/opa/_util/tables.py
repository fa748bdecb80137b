"""Tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from opa._util.printable import in_one_line

UNLIMITED = 10_000


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | list[str]]]) -> None:
    """Print a table; on a terminal its cells wrap, and where the output is piped no cell is cut or wrapped.

    A cell is one line, or a line for each text of a list; newlines and other control characters are shown as escapes.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=UNLIMITED)
    table = Table(*map(in_one_line, columns), box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_cell(cell), overflow="fold") for cell in row))
    console.print(table)


def _cell(cell: str | list[str]) -> str:
    return in_one_line(cell) if isinstance(cell, str) else "\n".join(map(in_one_line, cell))
