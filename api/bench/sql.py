"""A route with a session of its component, beside the same written by hand on FastAPI; both on a file of SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.compare import Comparison, compare
from bench.servers import FOLDER, STACK, App

CONNECTIONS = 32


def measure(rounds: int, seconds: float, say: Callable[[str], None]) -> Comparison:
    """Measure both in turns.

    Args:
        rounds: for each.
        seconds: of a round.
        say: is told what was measured.

    Raises:
        RuntimeError: an application does not start, or does not answer as it should.
    """
    with TemporaryDirectory() as name:
        file = Path(name) / "bench.db"
        component = {"LOAD": "yes", "OPTS__URL": f"sqlite:///{file}"}
        given = {f"OPA_OPTIONAL_COMPONENTS__SQL__{key}": value for key, value in component.items()}
        bare = App("by hand", "bench.bare_sql:app", {"BENCH_SQL_URL": f"sqlite+aiosqlite:///{file}"})
        stack = App("opa-stack", None, {**STACK.environment, **given, "OPA_PLUGIN_PATHS": str(FOLDER / "sql_plugins")})
        return compare(rounds, seconds, CONNECTIONS, say, first=bare, second=stack)


def main(rounds: int = 30, seconds: float = 0.5) -> None:
    """Print how many requests a second both answer."""
    found = measure(rounds, seconds, print)
    for one in (found.bare, found.stack):
        print(f"{one.app.name:<14} {one.per_second:10,.0f} requests/s")
    print(f"ratio of medians {found.ratio:.3f}")


if __name__ == "__main__":
    import typer

    typer.run(main)
