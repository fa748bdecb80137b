"""Tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from opa._util.printable import encodable, in_one_line

WIDEST = 200
"""Columns of a terminal to which a cell is filled up where the output is piped: a longer one stands out of its row."""
_LEFT, _BETWEEN = " ", "   "


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | list[str]]]) -> None:
    """Print a table; on a terminal its cells wrap, and where the output is piped no cell is cut or wrapped.

    A cell is one line, or a line for each text of a list; newlines and other control characters are shown as escapes.
    """
    lines = ([_cell(cell) for cell in row] for row in rows)
    if sys.stdout.isatty():
        _print_wrapped(columns, lines)
    else:
        _print_plain(columns, list(lines))


def _print_wrapped(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*map(in_one_line, columns), box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(table)


def _print_plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same by hand: rich takes minutes for the rows of an audit log."""
    from rich.cells import cell_len

    encoding = sys.stdout.encoding or "utf-8"
    heads = list(map(in_one_line, columns))
    rows = [[encodable(cell, encoding) for cell in row] for row in rows]
    widths = [
        max((size for cell in column for line in cell.split("\n") if (size := cell_len(line)) <= WIDEST), default=0)
        for column in zip(heads, *rows, strict=True)
    ]
    full = sum(widths) + len(_BETWEEN) * (len(widths) - 1)

    def print_row(row: Sequence[str]) -> None:
        for parts in zip_longest(*(cell.split("\n") for cell in row), fillvalue=""):
            filled = (part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True))
            print(f"{_LEFT}{_BETWEEN.join(filled)}{_LEFT}")

    print(" " * (full + 2))
    print_row(heads)
    print(f"{_LEFT}{('─' if encodable('─', encoding) == '─' else '-') * full}{_LEFT}")
    for row in rows:
        print_row(row)
    print(" " * (full + 2))


def _cell(cell: str | list[str]) -> str:
    return in_one_line(cell) if isinstance(cell, str) else "\n".join(map(in_one_line, cell))
