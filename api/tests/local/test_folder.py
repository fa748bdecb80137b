from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opa.core.errors import StartError
from opa.local import folder as folder_module
from opa.local.folder import locked_folder


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LOCK_LIMIT", 0.2)


def test_the_folder_is_made_and_git_ignores_it(tmp_path: Path) -> None:
    with locked_folder(tmp_path) as (folder, _):
        assert folder == tmp_path / ".opa"
        assert (folder / ".gitignore").read_text() == "*\n"


def test_no_other_user_looks_into_it(tmp_path: Path) -> None:
    with locked_folder(tmp_path) as (folder, _):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_second_run_in_the_folder_is_refused_and_told_which_process_has_it(tmp_path: Path) -> None:
    with locked_folder(tmp_path), pytest.raises(StartError, match=rf"already \(process {os.getpid()}\)"):  # noqa: SIM117
        with locked_folder(tmp_path):
            pass
    with locked_folder(tmp_path):
        pass


def test_a_process_that_keeps_the_lock_protects_its_data(tmp_path: Path) -> None:
    with locked_folder(tmp_path) as (_, lock):
        server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock])
    with server:
        with pytest.raises(StartError, match="already"), locked_folder(tmp_path):
            pass
        server.kill()
    with locked_folder(tmp_path):
        pass
