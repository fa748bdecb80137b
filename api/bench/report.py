"""What `make bench` prints, and the file that it writes."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from bench.compare import Comparison, Rounds

PACKAGES = (
    "fastapi",
    "starlette",
    "pydantic",
    "uvicorn",
    "uvicorn-worker",
    "uvloop",
    "httptools",
    "gunicorn",
)


def as_table(comparison: Comparison) -> Table:
    """Both applications, a row each."""
    table = Table("", "requests/s", "lowest", "highest", "median ms", "p99 ms", title="GET /hello")
    for column in table.columns[1:]:
        column.justify = "right"
    for found in (comparison.bare, comparison.stack):
        speeds = [load.per_second for load in found.rounds]
        table.add_row(
            found.app.name,
            *(f"{speed:,.0f}" for speed in (found.per_second, min(speeds), max(speeds))),
            f"{median(load.median_ms for load in found.rounds):.2f}",
            f"{median(load.p99_ms for load in found.rounds):.2f}",
        )
    return table


def as_json(comparison: Comparison, *, seconds: float, connections: int) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio": comparison.ratio,
        "applications": [_as_json(comparison.bare), _as_json(comparison.stack)],
        "settings": {"seconds": seconds, "connections": connections, "workers": 1},
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "versions": {name: version(name) for name in PACKAGES},
    }


def _as_json(found: Rounds) -> dict[str, Any]:
    return {
        "name": found.app.name,
        "per_second": found.per_second,
        "rounds": [asdict(load) for load in found.rounds],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
