"""What a command prints, where that cannot be written."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest

from tests import programs
from tests.project import Project

FULL = Path("/dev/full")


def opa(stdout: BinaryIO, *arguments: str, fresh: bool = False) -> tuple[int, str]:
    """The exit status, and what is written to standard error."""
    with tempfile.TemporaryFile() as stderr:
        status = programs.start([programs.OPA, *arguments], stdout=stdout, stderr=stderr, fresh=fresh).wait(60)
        stderr.seek(0)
        return status, stderr.read().decode()


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has it")
def test_a_full_disk_is_told_in_one_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    told = (1, "error: the output cannot be written: No space left on device\n")
    with FULL.open("wb") as full:
        assert opa(full, "config") == told
        assert opa(full, "--version") == told, "as Python ends"
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
        assert opa(full, "--version") == told, "at once"


def test_a_reader_that_is_gone_ends_a_command_as_other_programs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        assert opa(pipe, "--version", fresh=True) == (141, "")
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
        assert opa(pipe, "--help", fresh=True) == (141, ""), "which rich prints"


def test_a_command_may_have_no_output(project: Project) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {shlex.quote(programs.OPA)} config >&-"], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_pipe_of_a_plugin_that_breaks_is_told_as_its_error(project: Project) -> None:
    project.plugin(
        "shop.py",
        """
        import typer
        from opa.commands import connects
        commands = typer.Typer()
        @commands.command()
        @connects()
        def sell():
            raise BrokenPipeError(32, "the till is gone")
        """,
    )
    done = programs.run([programs.OPA, "shop", "sell"])
    assert done.returncode == 1
    assert "BrokenPipeError: [Errno 32] the till is gone" in done.stderr
