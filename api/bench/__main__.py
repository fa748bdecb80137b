"""`python -m bench`, from the folder above; `--help` tells the options."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.goals import Row
from bench.machine import machine, versions
from bench.parts import FULL, PARTS, QUICK, Found
from bench.plausible import implausible
from bench.profile import rows_of_request, rows_of_start
from bench.report import (
    as_json,
    as_markdown,
    as_table,
    growth_as_markdown,
    measured_on,
    profile_as_markdown,
    write_page,
)


def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(PARTS)}; all where none is named.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Show that it works; the numbers say nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where a goal is missed.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the report goes, when all parts are measured.")] = Path(
        "../.opa/bench"
    ),
) -> None:
    """Measure what opa-stack costs beside what it is made of, and say which goals are reached."""
    console = Console(highlight=False)
    chosen = parts or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there is {', '.join(PARTS)}")
    about = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
    }
    console.print(measured_on(about), markup=False)
    found: dict[str, Found] = {}
    for name in chosen:
        console.rule(name)
        started = time.monotonic()
        found[name] = PARTS[name](QUICK if quick else FULL, lambda line: console.print(line, markup=False))
        console.print(f"{name} took {time.monotonic() - started:.0f} s")
    rows = [row for one in found.values() for row in one.rows]
    console.rule("too little was measured to judge by this" if quick else "goals")
    console.print(as_table(rows))
    if not parts:
        write_report(folder, about, found, rows)
        console.print(f"the report is in {folder}")
    problems = implausible(found)
    for problem in problems:
        console.print(problem, markup=False)
    if problems:
        raise typer.Exit(1)
    if strict and not all(row.is_reached for row in rows):
        raise typer.Exit(1)


def write_report(folder: Path, about: dict[str, Any], found: dict[str, Found], rows: list[Row]) -> None:
    """The page, the plots and the file with every number."""
    from bench.plot import plot_goals, plot_growth

    folder.mkdir(parents=True, exist_ok=True)
    growth, profile = found["growth"].details, found["profile"].details
    blocks = {
        "measured": measured_on(about),
        "goals": as_markdown(rows),
        "growth": growth_as_markdown(growth),
        "profile of a start": profile_as_markdown("start, ms", rows_of_start(profile)),
        "profile of a request": profile_as_markdown("request, µs", rows_of_request(profile)),
    }
    write_page(folder / "performance.md", blocks)
    plot_goals(rows, folder / "performance-goals.svg")
    plot_growth(growth, folder / "performance-growth.svg")
    details = {name: one.details for name, one in found.items()}
    (folder / "performance.json").write_text(json.dumps(as_json(rows, details, about), indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
