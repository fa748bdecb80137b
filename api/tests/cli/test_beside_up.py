"""Commands in a second terminal, in the folder in which an `opa up` runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import programs
from tests.local.up import HAS_MONGO, Up, descendants, up_in
from tests.no_answer import NO_ANSWER
from tests.serve.process import free_port, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

URL = "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL"
URL_VARIABLE = "OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL"

WORK = """
from opa import config, get_instance, get_router, task

router = get_router()

@task
async def double(number: int) -> int:
    return 2 * number

@router.get("/counter")
async def count() -> int:
    return await get_instance("aioredis").incr("counter")

@router.get("/source")
def source() -> str:
    return config.source("OPTIONAL_COMPONENTS.WALRUS.OPTS.URL")
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `opa up` for all tests here; each uses keys and tasks of its own."""
    with up_in(tmp_path_factory.mktemp("beside") / "project") as up:
        (up.folder / "plugins").mkdir()
        (up.folder / "plugins" / "work.py").write_text(WORK)
        up.start("--no-reload")
        up.wait_until_ready()
        yield up


def opa(up: Up, *arguments: str, folder: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return programs.run([programs.OPA, *arguments], cwd=folder or up.folder, env=up.environ | environ)


def setting(up: Up, name: str = URL, folder: Path | None = None, **environ: str) -> dict[str, Any]:
    done = opa(up, "config", name, "--json", folder=folder, **environ)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[name]
    return found


def test_a_shell_sees_what_the_api_has_written(up: Up) -> None:
    before = up.request("/counter")
    done = opa(up, "shell", "-c", "print(await aioredis.incr('counter'))")
    assert done.stdout == f"{before + 1}\n", done.stderr
    assert up.request("/counter") == before + 2


@pytest.mark.skipif(not HAS_MONGO, reason="SecantusDB is not installed")
def test_a_shell_sees_the_same_mongo_the_next_time(up: Up) -> None:
    opa(up, "shell", "-c", "await mongodb.opa.notes.insert_one({'text': 'hello'})")
    done = opa(up, "shell", "-c", "print((await mongodb.opa.notes.find_one({}))['text'])")
    assert done.stdout == "hello\n", done.stderr


def test_a_task_that_is_sent_from_a_shell_is_run_by_the_worker(up: Up) -> None:
    done = opa(up, "shell", "-c", "from work import double; print(await (await double.send(21)).get(timeout=60))")
    assert done.stdout == "42\n", done.stderr


def test_dead_letters_of_the_worker_are_shown_and_thrown_away(up: Up) -> None:
    opa(up, "shell", "-c", "celery.send_task('nobody.knows')")
    letters = wait_until(lambda: json.loads(opa(up, "tasks", "dead", "--json").stdout), what="it was refused")
    assert [letter["task"] for letter in letters] == ["nobody.knows"]
    assert opa(up, "tasks", "drop", "--yes", letters[0]["id"]).stdout == "thrown away: 1\n"
    assert opa(up, "tasks", "dead").stdout == "no dead letters\n"


def test_one_line_on_standard_error_says_what_was_found_and_the_output_is_as_ever(up: Up) -> None:
    done = opa(up, "tasks", "list", "--json")
    mongo = "; its mongo for mongodb" if HAS_MONGO else ""
    servers = f"its redis for walrus, aioredis, celery{mongo}; its sqlite for sql, sql_sync"
    assert done.stderr == f"beside opa up (process {up.pid}), ENV=dev: {servers}\n"
    assert "work.double" in {row["task"] for row in json.loads(done.stdout)}


@pytest.mark.parametrize("arguments", [["check"], ["plugins"], ["config"], ["config", "schema"], ["tasks", "dead"]])
def test_each_command_finds_the_opa_up_of_its_folder(up: Up, arguments: list[str]) -> None:
    done = opa(up, *arguments)
    assert (done.returncode, done.stderr.count(f"beside opa up (process {up.pid})")) == (0, 1), done.stderr


def test_the_source_of_an_address_is_the_opa_up_in_all_processes(up: Up) -> None:
    source = f"opa up (process {up.pid})"
    assert setting(up)["source"] == source
    assert opa(up, "shell", "-c", f"print(config.source('{URL}'))").stdout == f"{source}\n"
    assert up.request("/source") == source
    assert "beside opa up" not in up.output


def test_an_address_in_a_variable_wins_and_the_line_leaves_the_component_out(up: Up) -> None:
    found = setting(up, OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL="redis://mine")
    assert found == {"value": "redis://mine", "source": f"environment variable {URL_VARIABLE}"}
    assert (
        "its redis for aioredis, celery"
        in opa(up, "check", OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL="redis://mine").stderr
    )


def test_an_address_in_the_settings_folder_wins_also_in_the_section_of_the_env(up: Up, tmp_path: Path) -> None:
    settings = "dev: {OPTIONAL_COMPONENTS: {dynaconf_merge: true, WALRUS: {OPTS: {URL: 'redis://mine'}}}}"
    (tmp_path / "settings.yaml").write_text(settings)
    assert setting(up, OPA_SETTINGS_DIR=str(tmp_path))["value"] == "redis://mine"


def test_a_whole_component_in_the_settings_folder_wins(up: Up, tmp_path: Path) -> None:
    settings = "default: {OPTIONAL_COMPONENTS: {MINE: {LOAD: 'no'}}}"
    (tmp_path / "settings.yaml").write_text(settings)
    done = opa(up, "config", "OPTIONAL_COMPONENTS", "--json", OPA_SETTINGS_DIR=str(tmp_path))
    assert list(json.loads(done.stdout)) == [
        "OPTIONAL_COMPONENTS.MINE.LOAD",
        "OPTIONAL_COMPONENTS.MINE.DRIVER",
        "OPTIONAL_COMPONENTS.MINE.OPTS",
    ]
    assert "none of its servers is used, other addresses are set" in done.stderr


def test_an_env_of_the_users_own_is_kept(up: Up) -> None:
    assert setting(up, "MODE")["value"] == "dev"
    assert setting(up, "MODE", ENV="test")["value"] == "prod"
    assert f"beside opa up (process {up.pid}): its redis" in opa(up, "check", ENV="test").stderr


def is_without_plugins_and_no_more(told: str) -> bool:
    return told.startswith("warning: no plugin is loaded") and told.count("\n") == 1


def test_in_another_folder_nothing_is_found(up: Up, tmp_path: Path) -> None:
    assert setting(up, folder=tmp_path)["value"] == "redis://redis"
    assert is_without_plugins_and_no_more(opa(up, "check", folder=tmp_path).stderr)


def test_a_command_that_is_given_in_a_shell_looks_for_itself(up: Up, tmp_path: Path) -> None:
    inner = f"import subprocess, sys; subprocess.run([*{['-m', 'opa.cli', 'config', URL, '--json']}])"
    inner = inner.replace("[*", "[sys.executable, *").replace("])", f"], cwd={str(tmp_path)!r})")
    assert '"redis://redis"' in opa(up, "shell", "-c", inner).stdout


def test_a_second_api_that_reloads_has_the_same_data(up: Up) -> None:
    port = free_port()

    def counter() -> int | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/counter", timeout=5) as answer:
                return int(answer.read())
        except NO_ANSWER:
            assert second.poll() is None, log.read_text()
            return None

    log = up.folder.parent / "second.log"
    with log.open("wb") as output:
        second = subprocess.Popen(
            [Path(sys.executable).with_name("opa"), "start"],
            cwd=up.folder,
            env=up.environ | {"OPA_PORT": str(port)},
            stderr=output,
        )
    try:
        count = wait_until(counter, what="the second api serves")
    finally:
        second.send_signal(signal.SIGTERM)
        second.wait(60)
    assert up.request("/counter") == count + 1
    assert log.read_text().count("beside opa up") == 1


def test_a_killed_opa_up_is_not_found_and_another_one_is_no_substitute(up: Up, tmp_path: Path) -> None:
    with up_in(tmp_path / "project") as killed:
        killed.environ |= {"OPA_OPTIONAL_COMPONENTS__MONGODB__LOAD": "no"}
        killed.start("--no-reload")
        file = killed.folder / ".opa" / "running.json"
        wait_until(file.exists, what="its servers run")
        address = setting(killed)
        assert address["source"] == f"opa up (process {killed.pid})"
        assert address["value"] != setting(up)["value"]
        left = descendants(killed.pid)
        killed.processes = left
        os.kill(killed.pid, signal.SIGKILL)
        killed.end()
        assert file.exists()
        assert setting(killed) == {"value": "redis://redis", "source": "default-settings.yaml [default]"}
        assert is_without_plugins_and_no_more(opa(killed, "check").stderr)
        wait_until(killed.nothing_is_left, what="everything has ended")
