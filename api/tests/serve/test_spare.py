"""The process that is in spare while another one serves in development."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opa.serve.spare import DELAY, Spare, note_imports
from tests.serve.process import Opa, is_running, wait_until

WHO = """
import os
from opa import get_router

router = get_router()

@router.get("/who")
def who():
    return os.getpid()

@router.get("/word")
def word():
    return {word!r}
"""
BROKEN = "def which is not Python\n"


def spare_of(opa: Opa) -> int:
    wait_until(lambda: len(opa.children()) == 2, what=lambda: f"one is in spare\n{opa.log}")
    (spare,) = {*opa.children()} - {opa.serving()}
    return spare


def says(opa: Opa, word: str) -> Callable[[], bool]:
    return lambda: opa.answers("/word", word)


def test_the_process_in_spare_serves_after_a_change_and_a_mistake_and_whatever_became_of_it(opa: Opa) -> None:
    opa.plugin("who.py", WHO.format(word="one"))
    opa.start(OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    opa.wait_until_ready()
    spare = spare_of(opa)

    opa.plugin("who.py", WHO.format(word="two"))
    wait_until(says(opa, "two"), what=lambda: opa.log)
    assert opa.get("/who") == spare

    second = spare_of(opa)
    opa.plugin("who.py", BROKEN)  # the process in spare ends over it
    wait_until(lambda: "restarts when" in opa.log, what=lambda: opa.log)
    assert not is_running(second)
    opa.plugin("who.py", WHO.format(word="three"))
    wait_until(says(opa, "three"), what=lambda: opa.log)

    third = spare_of(opa)
    os.kill(third, signal.SIGKILL)
    opa.plugin("who.py", WHO.format(word="four"))
    wait_until(says(opa, "four"), what=lambda: opa.log)

    fourth = spare_of(opa)
    os.kill(opa.serving(), signal.SIGKILL)  # ends by itself
    wait_until(lambda: opa.answers("/who", fourth), what=lambda: opa.log)
    assert opa.stop() == 0


def test_what_is_of_the_project_or_registers_something_is_not_imported_before_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "imports.json"
    for name in ("shop", "opa.plugins.core_docs", "opa.main"):
        monkeypatch.setitem(sys.modules, name, sys)
    note_imports(file)
    names = json.loads(file.read_text())
    assert {"json", "fastapi", "opa.errors"} <= {*names}
    assert {"shop", "pytest", "__main__", "opa.plugins.core_docs", "opa.main"}.isdisjoint(names)
    note_imports(tmp_path / "no folder" / "imports.json")  # which is no error of the process that serves


def test_none_is_prepared_until_the_one_that_serves_has_said_what_it_imports_and_others_have_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, spawned = 100.0, 0

    def spawn(*_args: object, **_options: object) -> None:
        nonlocal spawned
        spawned += 1

    spare = Spare(tmp_path / "mistakes.json", lambda: now)
    monkeypatch.setattr(spare, "spawn", spawn)
    spare.not_yet()
    spare.prepare()
    note_imports(spare.imports)
    spare.prepare()
    assert spawned == 0
    now += DELAY
    spare.prepare()
    assert spawned == 1
    spare.not_yet()
    assert not spare.imports.exists()
    assert not spare.go([])
    spare.kill()


IN_SPARE = """
from opa.serve import spare_process
import json, os, sys
from pathlib import Path
from typing import Any

sys.path.append(sys.argv[1])
begun = []
os.execv = lambda _path, command: begun.append(command)
handed = spare_process.wait_for_go(os.getppid(), Path("mistakes.json"), Path("imports.json"), int(sys.argv[2]))
is_kept = None if handed is None else (handed.host, handed.port, os.get_inheritable(handed.descriptor))
print(json.dumps([begun, os.environ["OPA_UP_STATE"], "spare_sample" in sys.modules, is_kept]))
"""


def waits_for(line: bytes, text: str | None, folder: Path, *sent: int) -> tuple[list[list[str]], str, bool, Any] | None:
    """What becomes of a process in spare that imports a module, or has no list of them, and then is told a line.

    Args:
        sent: descriptors that it is sent with the line.

    Returns:
        The commands with which it begins anew, a variable, whether it has the module, and of the socket that it was
        handed host, port, and whether what it starts inherits it; None where it ended.
    """
    if text is not None:
        (folder / "spare_sample.py").write_text(text)
        os.utime(folder / "spare_sample.py", (1, 1))
        (folder / "imports.json").write_text(json.dumps(["spare_sample", "spare_nowhere"]))
    go, its_end = socket.socketpair()
    with its_end:
        with go:
            if line:
                socket.send_fds(go, [line], sent)
        ended = subprocess.run(
            (sys.executable, "-c", IN_SPARE, folder, str(its_end.fileno())),
            cwd=folder,
            env=os.environ | {"OPA_UP_STATE": "before"},
            pass_fds=[its_end.fileno()],
            capture_output=True,
            check=True,
        )
    assert not ended.stderr
    return tuple(json.loads(ended.stdout)) if ended.stdout else None


GO = b'[{"OPA_UP_STATE": "now"}, null]'


def test_it_serves_where_nothing_has_changed(tmp_path: Path) -> None:
    assert waits_for(GO, "x = 1", tmp_path) == ([], "now", True, None)


def test_it_serves_on_the_socket_that_it_is_sent(tmp_path: Path) -> None:
    go = b'[{"OPA_UP_STATE": "now"}, ["::1", 8000]]'
    with socket.socket() as listener:
        listener.set_inheritable(True)
        assert waits_for(go, "x = 1", tmp_path, listener.fileno()) == ([], "now", True, ["::1", 8000, False])
        begun = waits_for(go, "import pathlib\npathlib.Path(__file__).write_text('x = 2')", tmp_path, listener.fileno())
    assert begun is not None
    (command,) = begun[0]
    assert command[-1].endswith(":8000:::1")
    assert begun[3] == ["::1", 8000, True], "it begins anew with it"


def test_it_begins_anew_where_a_file_that_it_has_imported_has_changed(tmp_path: Path) -> None:
    begun = waits_for(GO, "import pathlib\npathlib.Path(__file__).write_text('x = 2')", tmp_path)
    assert begun is not None
    (command,) = begun[0]
    assert command[-4:-2] == ["opa.serve", str(os.getpid())]


def test_it_serves_where_it_is_needed_before_it_has_read_what_to_import(tmp_path: Path) -> None:
    assert waits_for(GO, None, tmp_path) == ([], "now", False, None)


def test_a_module_in_an_archive_changes_with_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for text, begins_anew in (
        ("import spare_zipped", False),
        ("import spare_zipped, os; os.utime(sys.path[0], (9e9, 9e9))", True),
    ):
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("spare_zipped.py", "x = 1")
        os.utime(archive, (1, 1))
        begun = waits_for(GO, f"import sys; sys.path.insert(0, {str(archive)!r}); {text}", tmp_path)
        assert begun is not None
        assert bool(begun[0]) is begins_anew


def test_it_ends_where_nobody_needs_it(tmp_path: Path) -> None:
    assert waits_for(b"", "x = 1", tmp_path) is None
