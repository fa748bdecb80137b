"""`python -m bench`, from the folder above; `--help` tells the options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.compare import compare
from bench.report import as_json, as_table


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds for each application.")] = 40,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 0.5,
    connections: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 32,
    at_least: Annotated[float, typer.Option(help="Exit with 1 when the ratio is lower.")] = 0.0,
    file: Annotated[Path, typer.Option(help="Where the JSON file goes.")] = Path("../.opa/bench.json"),
) -> None:
    """Measure a hello route of the stack beside the same route in a bare FastAPI application.

    Many short rounds in turns: what else the machine does hits both alike, and medians leave the worst out.
    """
    console = Console()
    try:
        comparison = compare(rounds, seconds, connections, lambda line: console.print(line, highlight=False))
    except RuntimeError as error:
        console.print(str(error), markup=False, highlight=False)
        raise typer.Exit(1) from None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(as_json(comparison, seconds=seconds, connections=connections), indent=2) + "\n")
    console.print(as_table(comparison))
    console.print(f"ratio of medians (opa-stack / bare): {comparison.ratio:.3f}", highlight=False)
    if comparison.ratio < at_least:
        console.print(f"that is less than {at_least:g}", highlight=False)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
