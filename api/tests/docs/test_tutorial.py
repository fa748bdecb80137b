"""The tutorial ends with a project whose tests and lint pass."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests import programs
from tests.docs.blocks import blocks
from tests.project import PYTEST

PAGE = Path(__file__).parents[3] / "docs" / "tutorial.md"


def run(folder: Path, *command: str, fresh: bool = False) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OPA_")}
    done = programs.run([sys.executable, *command], cwd=folder, env=environ, fresh=fresh)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_its_project_passes_its_own_tests_and_lint(tmp_path: Path) -> None:
    run(tmp_path, "-m", "opa.cli", "new", "watch")
    project = tmp_path / "watch"
    removed = next(block.text for block in blocks(PAGE) if "rm plugins" in block.text)
    for word in removed.partition("rm ")[2].splitlines()[0].split():
        (project / word).unlink()
    for block in blocks(PAGE):
        if block.path:
            (project / block.path).write_text(block.text)

    assert "6 passed" in run(project, *PYTEST, "-q", fresh=True)
    run(project, "-m", "ruff", "check", "--no-cache", ".")
    run(project, "-m", "ruff", "format", "--check", "--no-cache", ".")
    assert "4 plugins loaded" in run(project, "-m", "opa.cli", "check")
