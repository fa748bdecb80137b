"""`opa up --while-exists FILE`, with a file that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from opa.cli.commands import app
from opa.errors import StartError


@pytest.mark.parametrize("name", ["", "."])
def test_a_folder_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["up", "--while-exists", name])
    assert done.exit_code == 2
    assert "is not a file" in done.output


def test_a_file_that_cannot_be_removed_does_not_hide_why_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StartError("the port is taken")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "dev")
    monkeypatch.setattr("opa.local.run.run", fail)
    done = CliRunner().invoke(app, ["up", "--while-exists", "/proc/version"])
    assert isinstance(done.exception, StartError)
