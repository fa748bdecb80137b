"""What `make bench` writes: a table for people, on the terminal and in the page, and a file with every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.goals import Row
from bench.growth import Growth, Point

HEADINGS = ("work", "against", "goal", "measured", "reached")
START, END = "<!-- {name}: written by make bench -->", "<!-- end of {name} -->"


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, a cell for each of the headings."""
    is_one = len(row.figures) == 1
    return (
        row.work,
        row.against,
        "; ".join(f"{figure.name} {figure.goal_text}" for figure in row.figures),
        "; ".join(figure.value_text if is_one else f"{figure.name} {figure.value_text}" for figure in row.figures),
        "yes" if row.is_reached else "no",
    )


def as_table(rows: Sequence[Row]) -> Table:
    """The rows for a terminal."""
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*cells(row), style=None if row.is_reached else "red")
    return table


def as_markdown(rows: Sequence[Row]) -> str:
    """The rows for the page."""
    return _markdown(HEADINGS, [cells(row) for row in rows])


def growth_as_markdown(growth: Growth) -> str:
    """What plugins cost, for the page; a number of the bare application stands behind each of the stack."""
    headings = ("plugins", "start, s", "bare", "memory, MB", "bare", "last route, ms", "bare", "404, ms", "bare")
    return _markdown(
        headings,
        [
            (f"{plugins:,}", *_pairs(stack, bare))
            for plugins, stack, bare in zip(growth.plugins, growth.stack, growth.bare, strict=True)
        ],
    )


def _pairs(stack: Point, bare: Point) -> list[str]:
    return [text for point in zip(_numbers(stack), _numbers(bare), strict=True) for text in point]


def _numbers(point: Point) -> list[str]:
    milliseconds = [f"{1000 * seconds:.2f}" for seconds in (point.last, point.missing)]
    return [f"{point.start:.2f}", f"{point.megabytes:.0f}", *milliseconds]


def profile_as_markdown(unit: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """Whose code ran for how long, for the page."""
    headings = (unit, "all", *rows[0][1])
    return _markdown(
        headings, [(name, *(f"{number:,.0f}" for number in (sum(by.values()), *by.values()))) for name, by in rows]
    )


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measured_on(about: Mapping[str, Any]) -> str:
    """When, on what, and with which versions, as a sentence or two for the page."""
    machine, versions = about["machine"], about["versions"]
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"Measured on {about['measured'][:10]} on {machine['cores']} cores of {machine['processor']},"
        f" {machine['system']}.\nVersions: {packages}."
    )


def write_page(page: Path, blocks: Mapping[str, str]) -> None:
    """Replace what stands between the marks of each block; a page that is not there is made of the blocks alone.

    Raises:
        ValueError: the page has no marks for a block.
    """
    content = page.read_text() if page.exists() else "\n\n".join(_block(name, "") for name in blocks) + "\n"
    for name, text in blocks.items():
        before, start, rest = content.partition(START.format(name=name))
        _, end, after = rest.partition(END.format(name=name))
        if not start or not end:
            raise ValueError(f"{page} has no marks of '{name}'")
        content = before + _block(name, text) + after
    page.write_text(content)


def _block(name: str, text: str) -> str:
    return f"{START.format(name=name)}\n\n{text}\n\n{END.format(name=name)}"


def as_json(rows: Sequence[Row], details: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    return {
        **about,
        "rows": [_row_as_json(row) for row in rows],
        "details": {name: _plain(found) for name, found in details.items()},
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    figures = [
        {
            "name": figure.name,
            "goal": f"{figure.bound.value} {figure.goal:g}",
            "measured": figure.value,
            "unit": figure.unit,
            "reached": figure.is_reached,
        }
        for figure in row.figures
    ]
    return {"work": row.work, "against": row.against, "figures": figures, "reached": row.is_reached}


def _plain(found: Any) -> Any:
    return asdict(found) if is_dataclass(found) and not isinstance(found, type) else found
