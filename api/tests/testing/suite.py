"""The tests of a project, as its author writes them, run by a pytest of their own."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests import programs
from tests.project import PYTEST

OUTCOME = re.compile(r"^(?P<outcome>PASSED|FAILED|ERROR|SKIPPED|XFAIL) \S+::(?P<name>\S+)", re.MULTILINE)
SHELL = {"OPA_PROJECT_NAME": "of the shell"}


@dataclass(frozen=True)
class Run:
    """What a run of the tests has said.

    Attributes:
        status: the exit status.
        text: what was printed.
    """

    status: int
    text: str

    @property
    def outcomes(self) -> dict[str, str]:
        """What became of each test, by its name."""
        return {match["name"]: match["outcome"] for match in OUTCOME.finditer(self.text)}

    def about(self, test: str) -> str:
        """What was printed about a test that did not pass."""
        found = re.search(
            rf"^_+ (?:ERROR at \w+ of )?{test} _+$\n(.*?)(?=^_{{5,}} |^={{5,}} )", self.text, re.MULTILINE | re.DOTALL
        )
        assert found is not None, self.text
        return found[1].strip()


class Suite:
    """A project with tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins = folder / "plugins"

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def command(self, *arguments: str) -> list[str]:
        """That runs the tests."""
        return [sys.executable, *PYTEST, "-rA", "-q", *arguments]

    def run(self, *arguments: str, status: int = 0, environ: dict[str, str] | None = None) -> Run:
        """Run the tests."""
        found = programs.run(
            self.command(*arguments), cwd=self.folder, env={**self.environ(), **(environ or {})}, fresh=True
        )
        text = found.stdout + found.stderr
        assert found.returncode == status, text
        return Run(found.returncode, text)

    @staticmethod
    def environ() -> dict[str, str]:
        """The environment of the shell."""
        return {name: value for name, value in os.environ.items() if not name.startswith(("OPA_", "PYTEST_"))} | SHELL
