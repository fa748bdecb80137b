"""How `make run` ends, where a signal reaches `make` alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.local.up import descendants
from tests.programs import OPA
from tests.serve.process import COMPONENTS, free_port, is_running, wait_until
from tests.signals import let_programs_be_interrupted

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.skipif(shutil.which("make") is None, reason="needs make"),
]

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
# Does what `opa up` does with that option, and no more.
STAND_IN = """#!/bin/sh
echo "$@" >> calls
while test -e "$3"; do sleep 0.05; done
"""


@contextmanager
def make_run(folder: Path, command: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`make run` in a folder whose virtual environment has nothing but the command `opa`; killed in the end."""
    let_programs_be_interrupted()
    opa = folder / "venv" / "bin" / "opa"
    if not opa.is_symlink() and not opa.exists():
        opa.parent.mkdir(parents=True)
        if command is None:
            opa.symlink_to(OPA)
        else:
            opa.write_text(command)
            opa.chmod(0o755)
    components = {f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no" for name in COMPONENTS}
    environ = os.environ | components | {"OPA_PORT": str(free_port())}
    installed = "venv/.run"
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            ["make", "--file", MAKEFILE, "--old-file", installed, "VENV=venv", "run"],
            cwd=folder,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                left = descendants(process.pid)
                process.kill()
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def test_an_interrupt_of_make_alone_ends_opa_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with make_run(tmp_path) as process:
        wait_until(lambda: "Ctrl-C stops everything" in log.read_text(), what=log.read_text)
        started = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
    assert started
    assert not any(is_running(pid) for pid in started)
    assert list((tmp_path / ".opa").glob("make-*")) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_each_make_run_in_a_folder_ends_its_own_opa_up(tmp_path: Path, number: int) -> None:
    (tmp_path / ".opa").mkdir()
    (tmp_path / ".opa" / "make-1").touch()  # of one that was killed
    calls = tmp_path / "calls"
    calls.touch()
    with ExitStack() as stack:
        first, second = (stack.enter_context(make_run(tmp_path, STAND_IN)) for _ in range(2))
        wait_until(lambda: calls.read_text().count("up --while-exists .opa/make-") == 2, what=calls.read_text)
        second.send_signal(number)
        assert second.wait(60) == -number
        assert first.poll() is None
        assert descendants(first.pid)
        first.send_signal(number)
        assert first.wait(60) == -number


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".opa").touch()
    with make_run(tmp_path, STAND_IN) as process:
        assert process.wait(60) == 2
    assert ".opa" in (tmp_path / "log").read_text()
    assert not (tmp_path / "calls").exists()
