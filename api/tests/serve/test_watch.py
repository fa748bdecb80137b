from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opa.serve.watch import changed_files, take_snapshot, wait_for_change


@contextmanager
def waiting(*folders: Path, polling: bool) -> Iterator[Callable[[], list[str]]]:
    """Wait for a change beside the test; what it calls gives what changed."""
    stop, looked = threading.Event(), threading.Event()
    changed: list[str] = []
    before = take_snapshot(folders)
    thread = threading.Thread(
        target=lambda: changed.extend(
            wait_for_change(folders, before, polling=polling, stop=stop, meanwhile=looked.set)
        )
    )
    thread.start()

    def result() -> list[str]:
        thread.join(10)
        assert not thread.is_alive(), "no change was seen"
        return changed

    try:
        yield result
    finally:
        stop.set()
        thread.join(10)


ways = pytest.mark.parametrize("polling", [True, False], ids=["polling", "notifications"])


@ways
@pytest.mark.parametrize("name", ["a.py", "a.json", "a.yaml", "a.yml", "a.toml", "a.ini", "deep/er/a.py"])
def test_a_new_file_is_seen(tmp_path: Path, name: str, polling: bool) -> None:
    with waiting(tmp_path, polling=polling) as result:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert result() == [str(file)]


@ways
def test_a_file_that_is_written_again_is_seen(tmp_path: Path, polling: bool) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    with waiting(tmp_path, polling=polling) as result:
        file.write_text("2")
        assert result() == [str(file)]


@ways
def test_a_file_that_is_gone_is_seen(tmp_path: Path, polling: bool) -> None:
    file = tmp_path / "a.py"
    file.touch()
    with waiting(tmp_path, polling=polling) as result:
        file.unlink()
        assert result() == [str(file)]


@ways
def test_a_folder_that_appears_later_is_watched(tmp_path: Path, polling: bool) -> None:
    folder = tmp_path / "plugins"
    with waiting(folder, polling=polling) as result:
        folder.mkdir()
        (folder / "a.py").touch()
        assert result() == [str(folder / "a.py")]


@ways
def test_a_folder_that_is_replaced_is_watched_on(tmp_path: Path, polling: bool) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    with waiting(folder, polling=polling) as result:
        folder.rename(tmp_path / "former")
        folder.mkdir()
        (folder / "a.py").touch()
        assert result() == [str(folder / "a.py")]


@ways
def test_other_files_do_not_count(tmp_path: Path, polling: bool) -> None:
    with waiting(tmp_path, polling=polling) as result:
        for name in ("a.txt", ".a.py", "a.py~", "__pycache__/a.py", ".git/a.py", "node_modules/a.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "b.py").touch()
        assert result() == [str(tmp_path / "b.py")]


def test_two_changes_in_one_second_are_two_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    os.utime(file, ns=(10**18, 10**18))
    before = take_snapshot([tmp_path])
    file.write_text("2")
    os.utime(file, ns=(10**18, 10**18 + 1))
    assert changed_files(before, take_snapshot([tmp_path])) == [str(file)]


def test_many_changes_at_once_are_one(tmp_path: Path) -> None:
    with waiting(tmp_path, polling=True) as result:
        for number in range(20):
            (tmp_path / f"a{number}.py").touch()
            time.sleep(0.01)
        assert len(result()) == 20


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.py").touch()
    (tmp_path / "inner" / "again").symlink_to(tmp_path)
    names = {Path(path).name for path in take_snapshot([tmp_path])}
    assert names == {"a.py"}


def test_stop_ends_the_wait(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert wait_for_change([tmp_path], {}, polling=True, stop=stop) == []
