"""The numbers of processes, in files: whole after a kill in any moment, and harmless where there is no room."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from opa.plugins.core_metrics import cells as module
from opa.plugins.core_metrics import reading
from opa.plugins.core_metrics.cells import KEYS, Cells, Definition
from opa.plugins.core_metrics.reading import ENDED, Reader

SOLD = Definition("counter", "sold", "Sold.", labels=("what",))
OPEN = Definition("gauge", "open", "Open.", "livesum")
MOST = Definition("gauge", "most", "Most.", "max")
KEY = (SOLD, "_total", ("thing",))

PROCESS = """
import sys, time
from pathlib import Path
from opa.plugins.core_metrics.cells import Cells, Definition
SOLD = Definition("counter", "sold", "Sold.", labels=("what",))
OPEN = Definition("gauge", "open", "Open.", "livesum")
MOST = Definition("gauge", "most", "Most.", "max")
cells = Cells()
cells.attach(Path(sys.argv[1]), print)
first = cells.allocate(SOLD, "_total", ("thing",))
cells.view[cells.allocate(OPEN, "", ())] = 1
cells.view[cells.allocate(MOST, "", ())] = 9
for number in range(5000):
    cells.allocate(SOLD, "_total", (f"other {number}",))  # the file grows meanwhile
    cells.view[first] += 1
print("counted", flush=True)
time.sleep(60)
"""


def attached(folder: Path) -> Cells:
    cells = Cells()
    cells.attach(folder, pytest.fail)
    return cells


def test_what_a_killed_process_has_counted_stays_and_its_files_go(tmp_path: Path) -> None:
    cells = attached(tmp_path)
    reader = Reader(cells, tmp_path)
    cells.view[cells.allocate(SOLD, "_total", ("thing",))] = 1
    for number in range(1, 3):
        with subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
            before = reader.total()
            assert before.numbers[KEY] == [5000 * number + 1]
            assert before.numbers[OPEN, "", ()] == [1]
            assert before.processes == 2
            process.send_signal(signal.SIGKILL)
        after = reader.total()
        assert after.numbers[KEY] == [5000 * number + 1]
        assert (OPEN, "", ()) not in after.numbers
        assert after.numbers[MOST, "", ()] == [9]
        assert after.processes == 1
        assert len(list(tmp_path.glob("*.cells"))) == len(list(tmp_path.glob("*.keys"))) == 1


def test_who_is_killed_while_putting_together_counts_nothing_twice(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    cells = attached(tmp_path)
    left = {path: path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith(f"{process.pid}-")}
    assert len(left) == 2
    reader = Reader(cells, tmp_path)
    assert reader.total().numbers[KEY] == [5000]
    assert json.loads((tmp_path / ENDED).read_text())["last"] == [next(iter(left)).stem]
    for path, content in left.items():  # as though it had ended before it could remove them
        path.write_bytes(content)

    assert reader.total().numbers[KEY] == [5000]
    assert Reader(cells, tmp_path).total().numbers[KEY] == [5000]
    assert not any(path.exists() for path in left)


def test_a_fork_counts_for_itself(tmp_path: Path) -> None:
    cells = attached(tmp_path)
    first = cells.allocate(SOLD, "_total", ("thing",))
    cells.view[first] += 3
    child = os.fork()
    if child == 0:
        cells.view[first] += 4
        os._exit(0)
    os.waitpid(child, 0)

    assert cells.view[first] == 3
    assert Reader(cells, tmp_path).total().numbers[KEY] == [7]


def test_what_was_counted_before_is_there_and_what_has_no_room_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", module.SPARE + 3)
    told: list[str] = []
    cells = Cells()
    first = cells.allocate(SOLD, "_total", ("thing",))
    cells.view[first] += 2
    cells.attach(tmp_path, told.append)
    for number in range(10):
        cells.view[cells.allocate(SOLD, "_total", (f"{number}",))] += 1

    found = Reader(cells, tmp_path).total().numbers
    assert found[KEY] == [2]
    assert len(found) == 3
    assert cells.lost == 8
    assert len(told) == 1


def test_files_that_someone_removes_are_written_anew(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    cells = attached(folder)
    first = cells.allocate(SOLD, "_total", ("thing",))
    cells.view[first] += 2
    assert not cells.restore()
    shutil.rmtree(folder)

    assert cells.restore()
    assert not cells.restore()
    cells.view[first] += 1
    assert Reader(cells, folder).total().numbers[KEY] == [3]
    assert reading._has_ended(folder, cells.name) is False


def test_files_that_cannot_be_written_anew_end_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    cells = attached(folder)
    first = cells.allocate(SOLD, "_total", ("thing",))
    shutil.rmtree(folder)
    folder.touch()
    with pytest.raises(OSError, match="File exists"):
        cells.restore()
    cells.view[first] += 1
    folder.unlink()
    assert cells.restore()
    assert Reader(cells, folder).total().numbers[KEY] == [1]


def test_a_full_file_system_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    cells = Cells()
    cells.attach(tmp_path, told.append)
    first = cells.allocate(SOLD, "_total", ("thing",))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        cells.view[cells.allocate(SOLD, "_total", ("other",))] += 1
        cells.view[first] += 1
    cells.view[cells.allocate(SOLD, "_total", ("third",))] += 1

    found = Reader(cells, tmp_path).total().numbers
    assert found == {KEY: [1], (SOLD, "_total", ("third",)): [1]}
    assert told == [f"No space left on device: {tmp_path}"]


def test_a_process_that_begins_while_the_file_system_is_full_shows_what_others_count_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, cells = attached(tmp_path), Cells()
    other.view[other.allocate(SOLD, "_total", ("thing",))] += 2
    full_disk = OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", Mock(side_effect=full_disk))
        for write in (lambda: cells.attach(tmp_path, print), cells.restore):
            with pytest.raises(OSError, match="No space"):
                write()
        first = cells.allocate(SOLD, "_total", ("thing",))
        cells.view[first] += 1
        found = Reader(cells, tmp_path).total()
        assert (found.numbers[KEY], found.processes) == ([3], 2)
        assert Reader(other, tmp_path).total().numbers[KEY] == [2]

    assert not cells.restore()
    cells.view[first] += 1
    for each in (cells, other):
        assert Reader(each, tmp_path).total().numbers[KEY] == [4]


def test_what_ended_processes_counted_is_shown_while_the_file_system_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        process.kill()
    cells = attached(tmp_path)
    reader = Reader(cells, tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        for _ in range(2):
            full_numbers = reader.total().numbers
            assert full_numbers[KEY] == [5000]
            assert (OPEN, "", ()) not in full_numbers
    assert reader.total().numbers == full_numbers
    assert cells.name
    assert len(list(tmp_path.glob("*.keys"))) == 1


@pytest.mark.parametrize(
    "files",
    [
        {ENDED: b""},
        {ENDED: b"[]"},
        {ENDED: b'{"metrics": [[{}, []]], "last": []}'},
        {"1-a.keys": b"{half\n", "1-a.cells": bytes(4096)},
        {"1-a.keys": b'[0,"_total",["a"],1]\n', "1-a.cells": bytes(4096)},
        {"1-a.keys": b"", "1-a.cells": b""},
    ],
)
def test_a_file_that_cannot_be_read_costs_what_is_in_it_alone(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cells = attached(tmp_path)
    cells.view[cells.allocate(SOLD, "_total", ("thing",))] = 2
    reader = Reader(cells, tmp_path)
    reader.fold()
    assert reader.total().numbers == {KEY: [2]}


@pytest.mark.parametrize("lock", ["all numbers", "those of a process that has ended"])
def test_a_child_that_is_forked_while_numbers_are_read_does_not_keep_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    """A worker makes children while its metrics are read: nobody could read them until that child had ended."""
    (tmp_path / f"gone{KEYS}").touch()
    children: list[int] = []
    end_read, end_write = os.pipe()
    flock = fcntl.flock

    def fork_when_locked(file: Any, operation: int) -> None:
        flock(file, operation)
        if operation & fcntl.LOCK_EX and not children:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child does not go near
                pid = os.fork()
            if not pid:
                os.close(end_write)
                os.read(end_read, 1)
                os._exit(0)
            children.append(pid)

    monkeypatch.setattr(fcntl, "flock", fork_when_locked)
    try:
        if lock == "all numbers":
            with reading._locked(tmp_path):
                pass
            with reading._locked(tmp_path, limit=0):
                assert children
        else:
            assert [reading._has_ended(tmp_path, "gone") for _ in range(2)] == [True, True]
            assert children
    finally:
        os.close(end_write)
        os.close(end_read)
        for child in children:
            os.waitpid(child, 0)
