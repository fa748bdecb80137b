from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pexpect
import pytest

from opa.cli.shell import shell as open_shell
from opa.errors import StartError
from tests import programs
from tests.project import Project
from tests.servers import Server

Run = Callable[..., subprocess.CompletedProcess[str]]

LOOPED = """
    import asyncio
    from pathlib import Path

    from opa import Driver

    class Looped(Driver):
        name = "looped"

        async def connect(self):
            self.instance = self
            self.loop = asyncio.get_running_loop()
            self.ticks = 0
            self.ticking = asyncio.create_task(self.tick())

        async def tick(self):
            while True:
                await asyncio.sleep(0.01)
                self.ticks += 1

        async def disconnect(self):
            self.ticking.cancel()
            Path("disconnected").touch()
"""


@pytest.fixture
def environ(project: Project, start_redis: Callable[[], Server]) -> dict[str, str]:
    """A project with redis, and a component that knows the loop on which it was connected."""
    project.plugin("looped.py", LOOPED)
    project.component("LOOPED", "looped")
    url = start_redis().url
    project.component("AIOREDIS", "redis-aioredis", URL=url)
    project.component("WALRUS", "redis-walrus", URL=url)
    ipython = {"IPYTHONDIR": str(project.folder / "ipython"), "TERM": "xterm"}
    return {name: value for name, value in os.environ.items() if name != "ENV"} | ipython


@pytest.fixture
def shell(environ: dict[str, str]) -> Run:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return programs.run([sys.executable, "-m", "opa.cli", "shell", *arguments], input=stdin, env=environ)

    return run


def test_a_command_awaits_on_the_loop_of_the_components(shell: Run) -> None:
    done = shell(
        "-c",
        "import asyncio\nprint(await aioredis.incr('n'), walrus.incr('n'), asyncio.get_running_loop() is looped.loop)",
    )
    assert (done.returncode, done.stdout) == (0, "1 2 True\n"), done.stderr


def test_a_command_finds_the_names_of_the_stack(shell: Run) -> None:
    done = shell(
        "-c",
        "print(config.PROJECT_NAME, pm.config.PROJECT_NAME, get_instance('WALRUS') is walrus)\n"
        "print(callable(call_hook), callable(call_hook_async))\n"
        "log.info('through the log')",
    )
    assert done.stdout == "opa-stack opa-stack True\nTrue True\n", done.stderr
    assert "through the log" in done.stderr


def test_a_command_that_raises_is_status_1_and_still_disconnects(shell: Run, project: Project) -> None:
    done = shell("-c", "await aioredis.ping()\n1 / 0")
    assert done.returncode == 1
    assert 'File "<command>", line 2' in done.stderr
    assert (project.folder / "disconnected").exists()


def test_a_command_says_its_own_status(shell: Run, project: Project) -> None:
    assert shell("-c", "import sys; sys.exit(3)").returncode == 3
    assert (project.folder / "disconnected").exists()


def test_a_component_that_is_not_there_is_one_line(shell: Run) -> None:
    done = shell("-c", "get_instance('mongodb')")
    assert done.returncode == 1
    assert "error: component 'mongodb' is not loaded: LOAD is no\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_standard_input_is_run_as_a_program_that_shows_values(shell: Run, project: Project) -> None:
    done = shell(stdin="n = await aioredis.incr('n')\nfor _ in range(2):\n    n += 1\n\nn\nawait aioredis.get('n')\n")
    assert (done.returncode, done.stdout) == (0, "3\nb'1'\n"), done.stderr
    assert (project.folder / "disconnected").exists()
    assert shell(stdin="1 / 0").returncode == 1


@pytest.fixture
def prompt(environ: dict[str, str]) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "opa.cli", "shell"],
        env=environ,
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 200),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ask(prompt: pexpect.spawn[str], code: str, number: int) -> None:
    """Wait for the prompt of this number, and answer it."""
    prompt.expect(rf"In \[.*{number}.*\]: ")
    prompt.send(f"{code}\r")


def test_the_prompt_awaits_and_says_what_is_there(prompt: pexpect.spawn[str], project: Project) -> None:
    prompt.expect("await works at the prompt")
    prompt.expect("config, log, pm, get_instance, call_hook, call_hook_async")
    prompt.expect("mongodb: not loaded: LOAD is no")
    ask(prompt, "await aioredis.set('greeting', 'hello'), walrus.get('greeting')", 1)
    prompt.expect("b'hello'")
    ask(prompt, "import asyncio; (await asyncio.sleep(0, asyncio.get_running_loop())) is looped.loop", 2)
    prompt.expect("True")
    ask(prompt, "exit", 3)
    prompt.expect(pexpect.EOF)
    prompt.close()
    assert prompt.exitstatus == 0
    assert (project.folder / "disconnected").exists()


def test_background_tasks_continue_while_the_prompt_of_opa_shell_waits(prompt: pexpect.spawn[str]) -> None:
    ask(prompt, "import time; before = looped.ticks; print('READY')", 1)
    prompt.expect("READY\r")
    # Between two prompts only the prompt itself runs; ticks are made there.
    for number in range(2, 50):
        ask(prompt, "print('TICKS', looped.ticks - before, 'END')", number)
        prompt.expect(r"TICKS (\d+) END\r")
        assert prompt.match
        if int(prompt.match[1]) > 3:
            return
    pytest.fail("no ticks while the prompt waited")


def test_without_ipython_one_line_says_what_installs_it_before_anything_connects(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(
        StartError, match=r"^the prompt of opa shell needs .*: pip install 'opa-stack\[shell\]', or give it code"
    ):
        open_shell(None)
