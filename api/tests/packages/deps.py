"""`opa deps` in the process of a test."""

from __future__ import annotations

from dataclasses import dataclass

from typer.testing import CliRunner

from opa.cli.commands import app
from opa.errors import OpaError
from tests.project import Project


@dataclass(frozen=True)
class Done:
    status: int
    output: str


def deps(*arguments: str) -> Done:
    """What `opa deps` prints, with the line of an error, as `opa` prints it."""
    result = CliRunner().invoke(app, ["deps", *arguments])
    if isinstance(result.exception, OpaError):
        return Done(1, f"{result.output}error: {result.exception}")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.output)


def needs(project: Project, name: str, *requirements: str, code: str = "", python: str = "") -> None:
    """Write a plugin that needs packages."""
    listed = ", ".join(f"{each!r}" for each in requirements)
    of_python = f"# requires-python = '{python}'\n" if python else ""
    project.plugin(f"{name}.py", f"# /// script\n{of_python}# dependencies = [{listed}]\n# ///\n{code}")
