from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opa.serve import watch as watch_module
from opa.serve.watch import changed_files, take_snapshot, wait_for_change
from opa.serve.watched import Counts, Watched, in_package, in_plugin_path, in_settings


@contextmanager
def waiting(*folders: Path, polling: bool) -> Iterator[Callable[[], list[str]]]:
    """Wait for a change beside the test; what it calls gives what changed."""
    stop, looked = threading.Event(), threading.Event()
    changed: list[str] = []
    watched = [Watched(folder, in_plugin_path) for folder in folders]
    before = take_snapshot(watched)
    thread = threading.Thread(
        target=lambda: changed.extend(
            wait_for_change(watched, before, polling=polling, stop=stop, meanwhile=looked.set)
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
@pytest.mark.parametrize("name", ["a.py", "deep/er/a.py"])
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
        for name in ("a.txt", ".a.py", "a.py~", "a.json", "__pycache__/a.py", ".git/a.py", "node_modules/a.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "b.py").touch()
        assert result() == [str(tmp_path / "b.py")]


def test_two_changes_in_one_second_are_two_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    os.utime(file, ns=(10**18, 10**18))
    before = take_snapshot([Watched(tmp_path, in_plugin_path)])
    file.write_text("2")
    os.utime(file, ns=(10**18, 10**18 + 1))
    assert changed_files(before, take_snapshot([Watched(tmp_path, in_plugin_path)])) == [str(file)]


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
    names = {Path(path).name for path in take_snapshot([Watched(tmp_path, in_plugin_path)])}
    assert names == {"a.py"}


def test_a_stop_ends_the_wait_for_a_change(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert wait_for_change([Watched(tmp_path, in_plugin_path)], {}, polling=True, stop=stop) == []


def counted(folder: Path, counts: Counts, *names: str) -> set[str]:
    """Which of these files count."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return {str(Path(path).relative_to(folder)) for path in take_snapshot([Watched(folder, counts)])}


def test_python_files_and_metadata_count_in_a_plugin_path(tmp_path: Path) -> None:
    plugins = ["a.py", "a-meta.json", "b/__init__.py", "b/meta.json", "b/pyproject.toml", "b/deep/er.py"]
    written = ["cache.json", "cache-meta.json", "meta.json", "a.json", "a.ini", "a.db", "a.log", "a.csv", "a.yaml"]
    written += ["b/data.json", "b/deep/meta.json", "c/meta.json", "b/.a.py.swp", "b/4913", "b/#a.py#", "b/a.py.tmp"]
    environment = ["b/venv/pyvenv.cfg", "b/venv/lib/x.py", ".venv/lib/x.py", "b/.git/hooks/x.py"]

    assert counted(tmp_path, in_plugin_path, *plugins, *written, *environment) == set(plugins)


def test_only_files_that_are_read_as_settings_count_in_the_settings_folder(tmp_path: Path) -> None:
    settings = ["a.yaml", "a.yml", "a.json", "a.toml", "a.ini", "a.py", "A.YAML", "parts/base.py"]
    others = [".a.yaml", "a.txt", "secrets/key", "deep/a.yaml", "a.yaml.swp", "a.yaml~", "cache.db"]

    assert counted(tmp_path, in_settings, *settings, *others) == set(settings)


def test_modules_and_the_defaults_count_in_the_package(tmp_path: Path) -> None:
    names = ["a.py", "b/c.py", "default-settings.yaml"]

    assert counted(tmp_path, in_package, *names, "b/static/a.json", "b/default-settings.yaml") == set(names)


def test_a_folder_may_hold_plugins_and_settings(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "a.yaml").touch()
    watched = [Watched(tmp_path, in_plugin_path), Watched(tmp_path / "settings", in_settings)]

    assert list(take_snapshot(watched)) == [str(tmp_path / "settings" / "a.yaml")]


def test_folders_may_be_nested_deeper_than_python_allows_calls(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "a.py").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        found = take_snapshot([Watched(tmp_path, in_plugin_path)])
    finally:
        sys.setrecursionlimit(limit)
    assert list(found) == [str(deep / "a.py")]


def test_it_does_not_wait_where_it_is_time_for_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "RESCAN_SECONDS", 3600)
    stop, looked = threading.Event(), threading.Event()

    def wait() -> None:
        watched = [Watched(tmp_path, in_plugin_path)]
        wait_for_change(
            watched, {}, polling=False, stop=stop, meanwhile=looked.set, is_time=lambda: not looked.is_set()
        )

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        assert looked.wait(60)
    finally:
        stop.set()
        thread.join()
