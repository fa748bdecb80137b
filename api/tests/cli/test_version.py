from __future__ import annotations

from importlib.metadata import version
from platform import python_version

from typer.testing import CliRunner

from opa.cli.commands import app


def test_opa_version_prints_its_version_and_that_of_python() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"opa-stack {version('opa-stack')}, Python {python_version()}\n")
