"""What an `opa up` does while it runs."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests import programs
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


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `opa up` for all tests here, begun in an empty folder."""
    with up_in(tmp_path_factory.mktemp("up") / "project") as up:
        up.start()
        up.wait_until_ready()
        assert list((up.folder / "plugins").iterdir()) == []
        yield up


def test_a_plugin_that_is_dropped_into_an_empty_folder_is_served_with_redis_mongo_and_tasks(up: Up) -> None:
    (up.folder / "plugins" / "counter.py").write_text(COUNTER)
    wait_until(lambda: up.request("/counter"), what="the plugin is served")
    assert up.request("/counter") == 2
    assert up.request("/notes") == 0 or not HAS_MONGO
    assert re.fullmatch(r"[0-9a-f-]{36}", up.request("/task", "POST"))
    assert up.request("/demo/hello") is not None


def test_servers_have_passwords_that_other_users_see_nowhere(up: Up) -> None:
    secrets = up.passwords()
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


def test_no_debugger_listens_until_it_is_asked_for_in_the_settings_folder_also_while_it_runs(up: Up) -> None:
    wait_until(lambda: re.search(r"worker \S+ with \d+ \(prefork\) takes tasks", up.output), what="the worker runs")
    assert not re.search(r"^ debugger|a debugger can", up.output, re.MULTILINE)
    assert not [pid for pid in descendants(up.pid) if "debugpy" in command_line(pid)]
    (up.folder / "settings").mkdir()
    port = free_port()
    (up.folder / "settings" / "debug.yaml").write_text(f"dev: {{DEBUGPY: true, DEBUGPY_PORT: {port}}}")
    wait_until(lambda: f"a debugger can attach on 127.0.0.1:{port}" in up.output, what="the api listens")


def command_line(pid: int) -> str:
    """Empty where the process is gone meanwhile."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_a_second_one_in_the_same_folder_is_refused(up: Up) -> None:
    for port in (up.port, free_port()):
        other = Up(up.folder)
        other.port, other.log = port, up.folder.parent / f"{port}.log"
        other.start()
        assert other.end() == 1
        assert f"opa up runs in this folder already (process {up.pid}), at http://127.0.0.1:{up.port}" in other.output
    wait_until(lambda: up.request("/readyz"), what="the first one serves")


def test_the_options_are_in_the_help() -> None:
    help_text = programs.run([programs.OPA, "up", "--help"], check=True).stdout
    for option in ("--host", "--port", "--reload", "--no-reload", "--debug"):
        assert option in help_text
