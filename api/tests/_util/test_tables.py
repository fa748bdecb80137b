"""Tables, where the output is piped."""

from __future__ import annotations

import io
import sys

import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from opa._util.tables import print_table

COLUMNS = ["name", "what", "more"]
ROWS: list[list[str | list[str]]] = [
    ["x", "日本語", ["first", "second line"]],
    ["a longer cell", "", "z"],
    ["e\u0301", "🎉", []],
]


def test_a_piped_table_looks_as_on_a_terminal_that_is_wide_enough(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS)
    expected = io.StringIO()
    table = Table(*COLUMNS, box=SIMPLE_HEAD, pad_edge=False)
    for row in ROWS:
        table.add_row(*(cell if isinstance(cell, str) else "\n".join(cell) for cell in row))
    Console(file=expected, width=1000).print(table)
    assert capsys.readouterr().out == expected.getvalue()


def test_a_cell_that_others_have_made_long_makes_no_other_row_longer(capsys: pytest.CaptureFixture[str]) -> None:
    """An audit log of 100,000 entries would be gigabytes of blanks."""
    print_table(COLUMNS, [["x" * 100_000, "long", "-"], ["anna", "short", "-"]])
    *_, long, short, _ = capsys.readouterr().out.splitlines()
    assert "x" * 100_000 in long
    assert short == " anna   short   -    "


def test_a_character_that_the_terminal_cannot_write_is_an_escape_in_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container without a locale, a name of others would end the command."""
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, "ascii", write_through=True)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        print_table(COLUMNS, ROWS)
    lines = written.getvalue().decode("ascii").splitlines()
    assert set(lines[2].strip()) == {"-"}
    assert r"\u65e5\u672c\u8a9e" in lines[3]
