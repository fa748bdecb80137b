from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opa.errors import StartError
from opa.process import folder as folder_module
from opa.process.folder import locked_folder, write_private


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LOCK_TIMEOUT", 0.2)


def test_the_folder_is_made_and_git_ignores_it(tmp_path: Path) -> None:
    with locked_folder(tmp_path) as (folder, _):
        assert folder == tmp_path / ".opa"
        assert (folder / ".gitignore").read_text() == "*\n"


def test_no_other_user_can_read_the_folder_of_opa_up(tmp_path: Path) -> None:
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


def test_others_lose_their_rights_in_a_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / ".opa").mkdir()
    (tmp_path / ".opa").chmod(0o777)
    with locked_folder(tmp_path) as (folder, _):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_system_without_permissions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".opa").mkdir()
    (tmp_path / ".opa").chmod(0o777)
    monkeypatch.setattr(os, "fchmod", lambda descriptor, mode: None)
    with pytest.raises(StartError, match="cannot be closed to other users on this file system"):  # noqa: SIM117
        with locked_folder(tmp_path):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".opa").mkdir(mode=0o700)
    os.chown(tmp_path / ".opa", 65534, 65534)
    with pytest.raises(StartError, match=r"^\.opa belongs to another user \(uid 65534\).*Remove it"):  # noqa: SIM117
        with locked_folder(tmp_path):
            pass
    assert not list((tmp_path / ".opa").iterdir())


def open_folder(project: Path, mode: int = 0o777) -> Path:
    """A folder that others can enter, with data of an earlier run."""
    folder = project / ".opa"
    (folder / "valkey").mkdir(parents=True)
    (folder / "valkey" / "data").touch()
    (folder / "valkey.log").touch()
    folder.chmod(mode)
    return folder


@pytest.mark.parametrize(
    ("name", "make", "problem"),
    [
        (".gitignore", Path.symlink_to, "is a link"),
        ("valkey/more", Path.symlink_to, "is a link"),
        ("mongo.log", Path.hardlink_to, "is a file that has another name elsewhere"),
        ("mistake", lambda path, victim: os.mkfifo(path), "is not a regular file"),
    ],
)
def test_files_that_others_may_have_put_into_an_open_folder_are_refused_each_time(
    tmp_path: Path, name: str, make: Callable[[Path, Path], None], problem: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = open_folder(tmp_path)
    make(folder / name, victim)
    for _ in range(2):
        with pytest.raises(StartError, match=rf"^\.opa/{name} {problem}, and others could enter \.opa"):  # noqa: SIM117
            with locked_folder(tmp_path):
                pass
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("mode", [0o777, 0o700])
def test_a_folder_of_another_user_inside_of_it_is_refused(tmp_path: Path, mode: int) -> None:
    os.chown(open_folder(tmp_path, mode) / "valkey", 65534, 65534)
    with pytest.raises(StartError, match=r"^\.opa/valkey belongs to another user \(uid 65534\)"):  # noqa: SIM117
        with locked_folder(tmp_path):
            pass


def test_data_of_a_folder_that_was_open_are_kept_and_so_are_links_in_one_that_never_was(tmp_path: Path) -> None:
    open_folder(tmp_path, 0o755)
    with locked_folder(tmp_path) as (folder, _):
        assert (folder / "valkey" / "data").exists()
        (folder / "mongo").symlink_to(tmp_path)
    with locked_folder(tmp_path):
        pass


def test_a_link_in_the_place_of_the_lock_is_refused_in_one_line(tmp_path: Path) -> None:
    open_folder(tmp_path, 0o700)
    (tmp_path / ".opa" / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StartError, match="lock cannot be written"), locked_folder(tmp_path):
        pass
    assert not (tmp_path / "victim").exists()


def test_a_link_and_a_file_in_its_place_are_refused_in_one_line(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".opa").symlink_to(elsewhere)
    with pytest.raises(StartError, match=r"^\.opa is a link to somewhere else"), locked_folder(tmp_path):
        pass
    assert not list(elsewhere.iterdir())
    (tmp_path / ".opa").unlink()
    (tmp_path / ".opa").touch()
    with pytest.raises(StartError, match=r"^\.opa is not a folder"), locked_folder(tmp_path):
        pass


def test_a_private_file_takes_the_place_of_a_link_and_of_a_file_that_others_may_read(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("as before")
    file = tmp_path / "file"
    file.symlink_to(other)
    before = os.umask(0)
    try:
        write_private(file, "one")
        file.chmod(0o666)
        write_private(file, "two")
    finally:
        os.umask(before)
    assert (file.read_text(), other.read_text()) == ("two", "as before")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_place_that_may_not_be_written_to_and_a_full_disk_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StartError, match=r"^\.opa cannot be created: No such file"), locked_folder(tmp_path / "gone"):
        pass
    monkeypatch.setattr(folder_module, "new_private", lambda file: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    with pytest.raises(StartError, match="file cannot be written: No space left on device"):
        write_private(tmp_path / "file", "text")
