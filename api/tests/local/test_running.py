from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opa.local import running as running_module
from opa.local.running import FILE, Running, current_network, find_running, published
from tests.serve.process import wait_until

RUNNING = Running(
    process=os.getpid(),
    env="dev",
    settings={"OPTIONAL_COMPONENTS.WALRUS.OPTS.URL": "redis://:secret@127.0.0.1:1"},
    network=current_network(),
)

PUBLISH = """
import sys
from pathlib import Path
from opa.local.running import Running, current_network, published

with published(Running(1, "dev", {}, current_network()), Path(".opa")):
    print("published", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / ".opa"
    folder.mkdir()
    return folder


def test_an_opa_up_is_found_as_long_as_it_runs(folder: Path) -> None:
    assert find_running(folder.parent) is None
    with published(RUNNING, folder):
        assert find_running(folder.parent) == RUNNING
        assert find_running(folder.parent) == RUNNING
    assert find_running(folder.parent) is None
    assert list(folder.iterdir()) == []


def test_no_opa_up_is_found_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / ".opa").write_text("a file")
    assert find_running(tmp_path) is None
    assert find_running(tmp_path / "nowhere") is None


def test_nothing_is_found_behind_links_or_in_a_pipe(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with published(RUNNING, folder):
        (other / ".opa").symlink_to(folder)
        assert find_running(other) is None
        (other / ".opa").unlink()
        (other / ".opa").mkdir()
        (other / ".opa" / FILE).symlink_to(folder / FILE)
        assert find_running(other) is None
        (other / ".opa" / FILE).unlink()
        os.mkfifo(other / ".opa" / FILE)
        assert find_running(other) is None


def test_the_file_of_a_killed_opa_up_is_not_believed_and_is_replaced(folder: Path) -> None:
    command = [sys.executable, "-c", PUBLISH]
    with subprocess.Popen(command, cwd=folder.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"published\n"
        found = find_running(folder.parent)
        assert found is not None
        assert found.process == 1
        process.send_signal(signal.SIGKILL)
    assert (folder / FILE).exists()
    assert find_running(folder.parent) is None
    with published(RUNNING, folder):
        assert find_running(folder.parent) == RUNNING


def test_a_server_that_outlives_the_process_does_not_vouch_for_it(folder: Path) -> None:
    with published(RUNNING, folder):
        (folder / "left").hardlink_to(folder / FILE)
        server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with server:
        (folder / "left").rename(folder / FILE)
        # It holds the lock between its fork and its exec.
        wait_until(lambda: find_running(folder.parent) is None, seconds=30, what="the lock is gone")
        server.kill()


def test_other_users_cannot_read_it(folder: Path) -> None:
    before = os.umask(0)
    try:
        with published(RUNNING, folder):
            assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_one_of_another_user_is_left_alone_with_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = os.geteuid() + 1
    with published(RUNNING, folder), caplog.at_level(logging.WARNING):
        monkeypatch.setattr(os, "geteuid", lambda: other)
        assert find_running(folder.parent) is None
    assert f"{folder / FILE} is of another user; the servers of that opa up are not used" in caplog.text


@pytest.mark.parametrize(
    "text", ["{}", '{"process": 1, "env": "", "settings": {}, "network": "", "new": 1}', "[", "[]"]
)
def test_one_of_another_version_is_left_alone_with_a_warning(
    folder: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with published(RUNNING, folder):
        (folder / FILE).write_text(text)
        assert find_running(folder.parent) is None
    assert "is of another version of opa-stack" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a container does not see the lock")
def test_in_a_container_with_the_same_files_it_is_not_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with published(RUNNING, folder):
        assert find_running(folder.parent) is not None
        elsewhere = folder.parent / "net"
        elsewhere.symlink_to("net:[1]")
        monkeypatch.setattr(running_module, "NETWORK", elsewhere)
        assert find_running(folder.parent) is None
    assert dataclasses.replace(RUNNING, network=current_network()).network == "net:[1]"
