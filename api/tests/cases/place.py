"""Where a case is tried, and the list of all cases."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tests.cases
from tests import programs
from tests.serve.process import Opa


class Place(Opa):
    """An empty folder with `plugins/` and `settings/`, in which nothing is set that a user does not set.

    The optional components are not loaded, and the log is text, unless the environment of a command says otherwise.
    """

    def write(self, path: str, text: str) -> Path:
        """Write any file, relative to the folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `opa` with these arguments, to its end."""
        return self.run_program(programs.OPA, *arguments, **environ)

    def python(self, code: str, *, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a program that imports `opa`, to its end; `given` is its standard input."""
        return self.run_program(sys.executable, "-c", code, given=given, **environ)

    def run_program(self, *command: str, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run any command in the folder, to its end."""
        return programs.run(list(command), cwd=self.folder, env={**self.environ, **environ}, input=given)


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        id: by which it is known, such as `B1`.
        right: what is right, in a line.
        run: tries it.
    """

    id: str
    right: str
    run: Callable[[Place], None]


_cases: dict[str, Case] = {}


def case(id: str, right: str) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    """Add a function to the cases."""

    def add(run: Callable[[Place], None]) -> Callable[[Place], None]:
        assert id not in _cases, id
        _cases[id] = Case(id, right, run)
        return run

    return add


def all_cases() -> list[Case]:
    """All cases, by number."""
    for module in pkgutil.iter_modules(tests.cases.__path__):
        if not module.name.startswith(("__", "test_")):
            importlib.import_module(f"{tests.cases.__name__}.{module.name}")
    return sorted(_cases.values(), key=lambda case: (len(case.id.partition("-")[0]), case.id))
