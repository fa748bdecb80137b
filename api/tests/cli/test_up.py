from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.local.up import HAS_MONGO, Up, descendants, up_in
from tests.serve.process import free_port, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

COUNTER = """
from opa import get_instance, get_router

router = get_router()

@router.get("/counter")
async def count():
    return await get_instance("aioredis").incr("counter")

@router.get("/notes")
async def notes():
    return await get_instance("mongodb").get_default_database().notes.count_documents({})

@router.post("/task")
def send():
    return get_instance("celery").send_task("numbers.double").id
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


def test_a_plugin_that_is_dropped_into_an_empty_folder_is_served_with_redis_mongo_and_tasks(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    assert list((up.folder / "plugins").iterdir()) == []
    (up.folder / "plugins" / "counter.py").write_text(COUNTER)
    wait_until(lambda: up.request("/counter"), seconds=60, what="the plugin is served")
    assert up.request("/counter") == 2
    assert up.request("/notes") == 0 or not HAS_MONGO
    assert re.fullmatch(r"[0-9a-f-]{36}", up.request("/task", "POST"))
    assert up.request("/demo/hello") is not None


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


def test_a_worker_runs_tasks_and_a_beat_sends_those_that_are_scheduled(up: Up) -> None:
    (up.folder / "plugins").mkdir()
    (up.folder / "plugins" / "work.py").write_text(WORK)
    up.start()
    up.wait_until_ready()
    wait_until(lambda: (up.request("/ticks") or 0) > 1, seconds=60, what="beat and worker run")
    assert up.request("/double/21") == 42
    up.processes = descendants(up.pid)
    os.kill(up.pid, signal.SIGTERM)
    assert up.end() == 0
    assert up.nothing_is_left()


def passwords(up: Up) -> set[str]:
    settings = json.loads((up.folder / ".opa" / "running.json").read_text())["settings"]
    return {word for url in settings.values() for word in re.findall(r":([^:/]+)@", str(url))}


def test_servers_have_passwords_of_this_start_that_other_users_see_nowhere(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    secrets = passwords(up)
    assert len(secrets) == 1 + HAS_MONGO
    assert min(map(len, secrets)) > 40
    assert not [secret for secret in secrets if secret in up.output]
    for pid in {up.pid, *descendants(up.pid)}:
        with contextlib.suppress(FileNotFoundError):
            line = Path(f"/proc/{pid}/cmdline").read_text()
            assert not [secret for secret in secrets if secret in line]
    (redis_port,) = re.findall(r"redis +127.0.0.1:(\d+)", up.output)
    with redis.Redis(port=int(redis_port)) as client, pytest.raises(redis.AuthenticationError):
        client.keys()
    os.kill(up.pid, signal.SIGTERM)
    assert up.end() == 0
    up.start("--no-reload")
    up.wait_until_ready()
    assert not secrets & passwords(up)


def test_no_debugger_listens_unless_it_is_asked_for(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    wait_until(lambda: re.search(r"worker \S+ with \d+ \(prefork\) takes tasks", up.output), what="the worker runs")
    assert not re.search(r"^ debugger|a debugger can", up.output, re.MULTILINE)
    assert not [pid for pid in descendants(up.pid) if "debugpy" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_a_debugger_can_be_asked_for_while_it_runs_in_the_settings_folder(up: Up) -> None:
    (up.folder / "settings").mkdir()
    up.start()
    up.wait_until_ready()
    port = free_port()
    (up.folder / "settings" / "debug.yaml").write_text(f"dev: {{DEBUGPY: true, DEBUGPY_PORT: {port}}}")
    wait_until(lambda: f"a debugger can attach on 127.0.0.1:{port}" in up.output, what="the api listens")


def process_of(up: Up, mode: str) -> int | None:
    """The process of a mode: the one below that which starts it again."""
    for pid in descendants(up.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            is_supervised = b"opa.cli" in Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
            if is_supervised and f"MODE={mode}".encode() in environ and int(parent) != up.pid:
                return pid
    return None


@pytest.mark.timeout(300)
def test_api_worker_and_beat_are_started_again_when_they_end(up: Up) -> None:
    (up.folder / "plugins").mkdir()
    (up.folder / "plugins" / "work.py").write_text(WORK)
    up.start()
    up.wait_until_ready()
    wait_until(lambda: (up.request("/ticks") or 0) > 0, seconds=60, what="beat and worker run")
    for mode in ("beat", "worker", "api"):
        pid = process_of(up, mode)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: process_of(up, mode) not in (None, pid), what=f"{mode} runs again")  # noqa: B023
    assert up.output.count("the process has ended with signal SIGKILL; it starts again in 1 s") == 3
    ticks = wait_until(lambda: up.request("/ticks"), what="the api serves")
    wait_until(lambda: up.request("/ticks") > ticks, seconds=60, what="beat and worker run again")
    up.processes = descendants(up.pid)
    os.kill(up.pid, signal.SIGTERM)
    assert up.end() == 0
    assert up.nothing_is_left()


def two_free_ports() -> int:
    """The first of two ports, one behind the other, which nothing listens on."""
    while True:
        with socket.socket() as probe, socket.socket() as next_one, contextlib.suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            next_one.bind(("127.0.0.1", port + 1))
            return port


def test_what_runs_where_is_printed(up: Up) -> None:
    debugger = two_free_ports()
    up.environ |= {"OPA_DEBUGPY_PORT": str(debugger)}
    up.start("--debug")
    up.wait_until_ready()
    wait_until(lambda: up.output.count("a debugger can attach on") == 2, seconds=120, what="both listen")
    patterns = [
        rf"api +http://127.0.0.1:{up.port} +documentation: http://127.0.0.1:{up.port}/docs",
        r"redis +127.0.0.1:\d+ +Valkey, for walrus, aioredis, celery; its data: .opa/valkey",
        rf"debugger +127.0.0.1:{debugger} ",
        r"plugins +plugins, opa:demo-plugins",
    ]
    if HAS_MONGO:
        patterns.append(r"mongo +127.0.0.1:\d+ +SecantusDB, for mongodb; its data: .opa/mongo")
    for pattern in patterns:
        assert re.search(pattern, up.output), up.output


def test_port_0_is_a_free_one_that_is_printed(up: Up) -> None:
    up.port = 0
    up.start("--no-reload")
    found = wait_until(lambda: re.search(r"api +http://127.0.0.1:(\d+) ", up.output), seconds=60, what="its address")
    up.port = int(found[1])
    wait_until(lambda: up.request("/readyz"), seconds=60, what="ready")


def test_data_are_there_the_next_time(up: Up) -> None:
    (up.folder / "plugins").mkdir()
    (up.folder / "plugins" / "counter.py").write_text(COUNTER)
    for expected in (1, 2):
        up.start("--no-reload")
        wait_until(lambda: up.request("/readyz"), seconds=60, what="ready")
        assert up.request("/counter") == expected
        os.kill(up.pid, signal.SIGTERM)
        assert up.end() == 0


def test_sigterm_stops_everything_in_order(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    os.kill(up.pid, signal.SIGTERM)
    assert up.end() == 0
    assert up.nothing_is_left()
    assert not (up.folder / ".opa" / "running.json").exists()
    assert "did not disconnect" not in up.output
    assert "Traceback" not in up.output


def test_ctrl_c_in_a_terminal_stops_everything(up: Up) -> None:
    terminal, end = pty.openpty()
    try:
        up.start(wrapper=[sys.executable, "-c", IN_TERMINAL], stdin=end, start_new_session=True)
        up.wait_until_ready()
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


def test_sigkill_leaves_no_process_behind(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    os.kill(up.pid, signal.SIGKILL)
    up.end()
    wait_until(up.nothing_is_left, what="everything has ended")


def test_a_server_that_dies_is_said_and_ends_everything(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    os.kill(up.child("valkey-server"), signal.SIGKILL)
    assert up.end() == 1
    assert up.nothing_is_left()
    assert re.search(r"error: Valkey \(process \d+\) ended by itself with signal SIGKILL", up.output)
    assert "Traceback" not in up.output


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


def test_a_second_one_in_the_same_folder_is_refused(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    other = Up(up.folder)
    other.log = up.folder.parent / "other.log"
    other.start()
    assert other.end() == 1
    assert f"opa up runs in this folder already (process {up.pid})" in other.output
    assert up.request("/readyz")


def test_a_server_that_nobody_needs_is_not_started(up: Up) -> None:
    (up.folder / "settings").mkdir()
    (up.folder / "settings" / "settings.yaml").write_text(
        textwrap.dedent("""
            default:
              OPTIONAL_COMPONENTS: {dynaconf_merge: true, MONGODB: {LOAD: "no"}}
        """)
    )
    up.start("--no-reload")
    wait_until(lambda: up.request("/readyz"), seconds=60, what="ready")
    assert not (up.folder / ".opa" / "mongo").exists()
    assert (up.folder / ".opa" / "valkey").exists()


def test_without_secantusdb_it_says_so_in_one_line_and_goes_on(up: Up) -> None:
    # What Python 3.14 has: an installation without the package.
    hidden = up.folder.parent / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'secantus' else find(name, *more)\n"
    )
    up.environ["PYTHONPATH"] = str(hidden)
    up.start("--no-reload")
    answer = wait_until(lambda: up.request("/readyz"), seconds=60, what="ready")
    assert "without mongodb: SecantusDB is not installed, it has no release for Python 3.14 yet\n" in up.output
    assert {component["name"] for component in answer["components"] if component["status"] == "connected"} == {
        "walrus",
        "aioredis",
        "celery",
    }


def test_the_options_are_in_the_help() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "opa.cli", "up", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--host", "--port", "--reload", "--no-reload", "--debug"):
        assert option in help_text
