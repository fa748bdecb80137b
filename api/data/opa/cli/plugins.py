"""`opa plugins`: what was found, what is loaded, what was skipped and why, and what each plugin provides."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from opa._util.printable import in_one_line
from opa._util.sources import from_here
from opa.cli.program import app
from opa.errors import StartError


@app.command()
def plugins(
    name: Annotated[str | None, typer.Argument(help="Show everything about this plugin only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also show those that come with opa-stack.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show which plugins are loaded, which are skipped or broken and why, and what each provides."""
    from opa.cli.beside_up import manager_beside_up
    from opa.http.builder import build_app
    from opa.introspection import plugins_of

    manager = manager_beside_up()
    build_app(manager)
    rows = [asdict(found) for found in plugins_of(manager)]
    if name is not None:
        rows = [_row_of(name, rows)]
    if as_json:
        print(json.dumps(rows if name is None else rows[0], indent=2))
    elif name is None:
        _print_list(rows, every)
    else:
        _print_one(rows[0])


def _row_of(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    for row in rows:
        if row["name"] == name:
            return row
    raise StartError(f"there is no plugin '{name}'", hint=f"Plugins: {', '.join(sorted(row['name'] for row in rows))}")


def _print_list(rows: list[dict[str, Any]], every: bool) -> None:
    """A line for each plugin, and below it what it provides: each in a line, so that no width is too small."""
    hidden = [] if every else [row for row in rows if _comes_with_opa(row) and row["status"] != "broken"]
    for row in rows:
        if row in hidden:
            continue
        name = in_one_line(" ".join([row["name"], row["version"]]).strip())
        print(f"{name}  {row['status']}  {in_one_line(from_here(row['file']))}")
        for line in (*row["reasons"], *(f"hides {from_here(path)}" for path in row["hides"]), *row["provides"]):
            print(f"    {in_one_line(line)}")
    if len(hidden) == len(rows):
        print("no plugins of yours")
    if hidden:
        print(f"and {len(hidden)} that come with opa-stack, which --all shows")


def _comes_with_opa(row: dict[str, Any]) -> bool:
    from opa._util.sources import PACKAGE_FOLDER

    return Path(row["file"]).is_relative_to(PACKAGE_FOLDER)


def _print_one(row: dict[str, Any]) -> None:
    from opa._util.tables import print_table

    print_table(
        [row["name"], ""],
        [
            [key, value if isinstance(value, list) else str(value)]
            for key, value in row.items()
            if key != "name" and value not in ("", [])
        ],
    )
