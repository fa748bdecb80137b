"""How an `opa up` starts with what it was given, and how it ends."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.up import HAS_MONGO, Up, descendants, up_in
from tests.serve.process import free_port, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

COUNTER = """
from opa import get_instance, get_router

router = get_router()

@router.get("/counter")
async def count():
    return await get_instance("aioredis").incr("counter")
"""

WORK = """
from opa import get_instance, get_router, task

router = get_router()

@task
async def double(number: int) -> int:
    return 2 * number

@task(schedule=1)
def tick() -> None:
    get_instance("walrus").incr("ticks")

@router.get("/double/{number}")
async def route(number: int) -> int:
    return await (await double.send(number)).get(timeout=60)

@router.get("/ticks")
def ticks() -> int:
    return int(get_instance("walrus").get("ticks") or 0)
"""


# Its standard input becomes its terminal, which sends SIGINT to all processes of its group when Ctrl-C is pressed.
IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with up_in(tmp_path / "project") as up:
        yield up


def test_sigterm_stops_everything_in_order_and_the_next_start_has_the_same_data_and_other_passwords(up: Up) -> None:
    (up.folder / "plugins").mkdir()
    (up.folder / "plugins" / "counter.py").write_text(COUNTER)
    up.start()
    up.wait_until_ready()
    assert up.request("/counter") == 1
    passwords = up.passwords()
    os.kill(up.pid, signal.SIGTERM)
    assert up.end() == 0
    assert up.nothing_is_left()
    assert not (up.folder / ".opa" / "running.json").exists()
    assert "did not disconnect" not in up.output
    assert "Traceback" not in up.output

    up.start("--no-reload")
    up.wait_until_ready()
    assert up.request("/counter") == 2
    assert not passwords & up.passwords()


def test_an_unused_server_is_not_started_and_sigkill_leaves_no_process_behind(up: Up) -> None:
    (up.folder / "settings").mkdir()
    (up.folder / "settings" / "settings.yaml").write_text(
        textwrap.dedent("""
            default:
              OPTIONAL_COMPONENTS: {dynaconf_merge: true, MONGODB: {LOAD: "no"}}
        """)
    )
    up.start()
    up.wait_until_ready()
    assert not (up.folder / ".opa" / "mongo").exists()
    assert (up.folder / ".opa" / "valkey").exists()
    os.kill(up.pid, signal.SIGKILL)
    up.end()
    wait_until(up.nothing_is_left, what="everything has ended")


def test_port_0_is_a_free_one_that_is_printed_and_a_server_that_dies_is_said_and_ends_everything(up: Up) -> None:
    up.port = 0
    up.start("--no-reload")
    found = wait_until(lambda: re.search(r"api +http://127.0.0.1:(\d+) ", up.output), what="its address")
    up.port = int(found[1])
    up.wait_until_ready()
    os.kill(up.child("valkey-server"), signal.SIGKILL)
    assert up.end() == 1
    assert up.nothing_is_left()
    assert re.search(r"error: Valkey \(process \d+\) ended by itself with signal SIGKILL", up.output)
    assert "Traceback" not in up.output


def test_that_its_folder_is_deleted_is_said_and_ends_everything(up: Up) -> None:
    up.start("--no-reload")
    up.wait_until_ready()
    shutil.rmtree(up.folder / ".opa", ignore_errors=True)  # a server that ends writes there once more
    assert up.end() == 1
    assert up.nothing_is_left()
    assert (
        f"error: the folder was deleted while opa up runs, and with it the data of its servers ({up.folder}/.opa)"
        in (up.output)
    )
    assert "Traceback" not in up.output


def test_opa_up_prints_its_programs_with_their_addresses_and_ctrl_c_stops_all(up: Up) -> None:
    debugger = free_port(in_a_row=2)
    up.environ |= {"OPA_DEBUGPY_PORT": str(debugger)}
    terminal, end = pty.openpty()
    try:
        up.start("--debug", wrapper=[sys.executable, "-c", IN_TERMINAL], stdin=end, start_new_session=True)
        up.wait_until_ready()
        wait_until(lambda: up.output.count("a debugger can attach on") >= 2, what=lambda: f"both listen\n{up.output}")
        patterns = [
            rf"api +http://127.0.0.1:{up.port} +documentation: http://127.0.0.1:{up.port}/docs",
            rf"console +http://127.0.0.1:{up.port}/opa ",
            r"redis +127.0.0.1:\d+ +Valkey, for walrus, aioredis, celery; data in .opa/valkey",
            r"sqlite +.opa/sql.db +SQLite, for sql, sql_sync",
            rf"debugger +127.0.0.1:{debugger} ",
            r"plugins +plugins, opa:demo-plugins",
        ]
        if HAS_MONGO:
            patterns.append(r"mongo +127.0.0.1:\d+ +SecantusDB, for mongodb; data in .opa/mongo")
        for pattern in patterns:
            assert re.search(pattern, up.output), up.output
        up.processes = descendants(up.pid)
        os.write(terminal, b"\x03")
        assert up.end() == 0
    finally:
        os.close(terminal)
        os.close(end)
    assert up.nothing_is_left()
    assert "Traceback" not in up.output
    # Each child is told in its turn; the keys of the terminal do not reach it.
    assert "Received SIGTERM" in (up.folder / ".opa" / "valkey.log").read_text()
    assert "Received SIGINT" not in (up.folder / ".opa" / "valkey.log").read_text()


def process_of(up: Up, mode: str) -> int | None:
    """The process of a mode: the one below that which starts it again. That of the api may have one in spare."""
    spare = None
    for pid in descendants(up.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            is_supervised = b"opa.cli" in Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
            if is_supervised and f"MODE={mode}".encode() in environ and int(parent) != up.pid:
                if b"opa.serve.spare_process" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
                spare = pid
    return spare


def test_worker_and_beat_run_tasks_and_those_that_are_scheduled_and_each_process_is_started_again_when_it_ends(
    up: Up,
) -> None:
    (up.folder / "plugins").mkdir()
    (up.folder / "plugins" / "work.py").write_text(WORK)
    up.start()
    up.wait_until_ready()
    wait_until(lambda: (up.request("/ticks") or 0) > 1, what="beat and worker run")
    assert up.request("/double/21") == 42
    for mode in ("beat", "worker", "api"):
        pid = process_of(up, mode)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: process_of(up, mode) not in (None, pid), what=f"{mode} runs again")  # noqa: B023
    wait_until(
        lambda: up.output.count("the process has ended with signal SIGKILL; it restarts in 1 s") == 3,
        what=lambda: f"all three were found to have ended\n{up.output}",
    )
    ticks = wait_until(lambda: up.request("/ticks"), what="the api serves")
    wait_until(lambda: up.request("/ticks") > ticks, what="beat and worker run again")
    up.processes = descendants(up.pid)
    os.kill(up.pid, signal.SIGTERM)
    assert up.end() == 0
    assert up.nothing_is_left()


def test_an_api_that_does_not_start_is_said_and_ends_everything(up: Up) -> None:
    (up.folder / "plugins").mkdir()
    (up.folder / "plugins" / "broken.py").write_text("import nonsense_that_is_not_there")
    up.start("--no-reload")
    assert up.end() == 1
    assert "plugin 'broken' does not import" in up.output
    assert re.search(
        r"error: (api|worker|beat) \(process \d+\) ended by itself with exit status \d. Its messages stand above",
        up.output,
    )


def test_a_port_that_is_taken_is_said_before_anything_is_started(up: Up) -> None:
    with socket.create_server(("127.0.0.1", up.port)):
        up.start()
        assert up.end() == 1
    assert f"cannot listen on 127.0.0.1:{up.port}" in up.output
    assert list(up.folder.iterdir()) == []


def test_without_secantusdb_it_says_so_in_one_line_and_continues(up: Up) -> None:
    # As on Python 3.14, for which it has no release.
    hidden = up.folder.parent / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'secantus' else find(name, *more)\n"
    )
    up.environ["PYTHONPATH"] = str(hidden)
    up.start("--no-reload")
    answer = wait_until(lambda: up.request("/readyz"), what="ready")
    assert re.search(
        r"^without mongodb: SecantusDB is not installed, (install it: pip install|it has no release)", up.output, re.M
    )
    assert {component["name"] for component in answer["components"] if component["status"] == "connected"} == {
        "walrus",
        "aioredis",
        "celery",
        "sql",
        "sql_sync",
    }
