"""What a process has not written when it is killed stands in its journal, for another one."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from opa.plugins.task_runs.event import Event
from opa.plugins.task_runs.journal import LARGEST, Journal, journals_of, left_behind
from opa.plugins.task_runs.said import Said

WRITE = """
import os, sys
from pathlib import Path
from opa.plugins.task_runs.event import Event
from opa.plugins.task_runs.journal import Journal
from opa.plugins.task_runs.said import Said

journal = Journal(lambda: Path(sys.argv[1]))
said = Said()
said.add("it says \\n")
for number in range(3):
    text = '{"i":"%d","s":"failed","a":1.5,"n":1,"f":{}}' % number
    journal.add(Event(str(number), 1, text, said=said, traceback="Traceback\\n"))
print("noted", flush=True)
sys.stdin.read()
"""


def event(text: str = '{"i":"a","s":"succeeded","a":1.5,"n":1,"f":{}}') -> Event:
    return Event("a", 1, text)


def ids(folder: Path, own: Path | None = None) -> list[str]:
    return [text for left in left_behind(folder, own) for text in left.events]


def test_what_a_killed_process_has_noted_is_found_once_and_not_while_it_lives(tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "noted\n"
        assert ids(folder) == []
        process.kill()
        process.wait()
    (path,) = folder.iterdir()
    with path.open("ab") as file:  # it was killed while it wrote
        file.write(b'{"i":"3","s":"fail')
    (left,) = left_behind(folder, None)
    assert [text[6] for text in left.events] == ["0", "1", "2"]
    assert left.logs[0] == ("0", 1, "it says \n", "Traceback\n", 9)
    assert ids(folder) == []
    assert not folder.exists()


def test_the_folder_of_the_journals_of_a_redis_has_a_name_that_says_nothing_of_its_password() -> None:
    def folder(**options: str) -> Path:
        component = SimpleNamespace(OPTS=options)
        return journals_of(
            SimpleNamespace(OPTIONAL_COMPONENTS={"AIOREDIS": component}, PROJECT_ID="", PROJECT_NAME="x")
        )

    assert folder(URL="redis://:one@here:6379/0") == folder(URL="redis://:other@here:6379/0")
    assert folder(HOST="here", PASSWORD="one") == folder(PASSWORD="other", HOST="here")
    assert folder(URL="redis://:one@here:6379/0") != folder(URL="redis://:one@here:6379/1")


def test_a_journal_is_emptied_when_all_is_written_and_nothing_has_come_meanwhile(tmp_path: Path) -> None:
    journal = Journal(lambda: tmp_path / "journals")
    journal.add(event())
    assert journal.path is not None
    journal.clear([event()])
    assert journal.path.stat().st_size > 0
    journal.clear([])
    assert journal.path.stat().st_size == 0
    assert ids(tmp_path / "journals", journal.path) == [], "its own"
    other = Journal(lambda: tmp_path / "journals")
    other.add(event())
    journal.close(is_written=True)
    assert not journal.path.exists()
    assert other.path is not None
    assert other.path.exists()
    other.close(is_written=True)
    assert not (tmp_path / "journals").exists()


def test_a_journal_is_bounded_and_takes_more_when_it_was_emptied(tmp_path: Path) -> None:
    journal = Journal(lambda: tmp_path / "journals")
    said = Said()
    said.add("x" * 60_000)
    for _ in range(600):
        journal.add(Event("a", 1, event().text, said=said))
    assert journal.path is not None
    assert LARGEST - 20_000 < journal.path.stat().st_size <= LARGEST
    journal.clear([])
    journal.add(event())
    assert journal.path.stat().st_size > 0


def test_a_journal_that_could_not_be_written_is_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(lambda: tmp_path / "journals")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("lockf", "write"):
        with monkeypatch.context() as patch:
            patch.setattr(fcntl if name == "lockf" else os, name, refuse)
            journal.add(event())
        journal.add(event())
        assert [path for path in (tmp_path / "journals").iterdir() if path.stat().st_size] == []
        journal.clear([event()])
        journal.add(event())
        journal.clear([])
    journal.add(event())
    assert journal.path is not None
    assert journal.path.read_text() == f"{event().text}\n"
    assert len(list((tmp_path / "journals").iterdir())) == 1
    journal.close(is_written=True)
    journal.clear([])
    journal.add(event())
    assert not (tmp_path / "journals").exists(), "it has ended"


@pytest.mark.skipif(os.geteuid() != 0, reason="the folder of another user")
def test_no_journal_is_written_where_others_may_read_it(tmp_path: Path) -> None:
    other, open_to_all, link = tmp_path / "other", tmp_path / "open", tmp_path / "link"
    other.mkdir(mode=0o700)
    os.chown(other, 12345, 12345)
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    (tmp_path / "real").mkdir(mode=0o700)
    link.symlink_to(tmp_path / "real")
    for folder in (other, open_to_all, link):
        Journal(lambda folder=folder: folder).add(event())  # type: ignore[misc]
        (tmp_path / "real" / "1-a.journal").write_text(event().text)
        (open_to_all / "1-a.journal").write_text(event().text)
        assert ids(folder) == []
        assert [path.name for path in folder.iterdir()] in ([], ["1-a.journal"])


def test_what_no_journal_has_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    folder.mkdir(mode=0o700)
    lines = [b"", b"[]", b"{}", b"\xff", b'{"i":1,"s":"failed","n":1}', b'{"i":"a","s":"odd","n":1}', b"[" * 100_000]
    lines += [b'["a", "b", 1, 2, 3]', event().text.encode()]
    (folder / "1-a.journal").write_bytes(b"\n".join(lines))
    (left,) = left_behind(folder, None)
    assert left.events == [event().text]
    assert left.logs == []
