"""A program that is forked does what it does in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import programs
from tests.leftovers import RUN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

TELL = """
import atexit, os, resource, signal, sys, threading, time, warnings

atexit.register(print, "at exit")
print(sys.argv, sys.path, os.getcwd(), sorted(os.environ.items()))
print(__name__, sys.modules["__main__"].__dict__ is globals(), sys.flags, sys.warnoptions)
print([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)])
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), os.getpgid(0) == os.getpid(), time.tzname)
print(sorted(os.listdir("/proc/self/fd")), threading.active_count(), resource.getrlimit(resource.RLIMIT_NOFILE))
print([(each.name, each.encoding, each.errors, each.isatty()) for each in (sys.stdin, sys.stdout, sys.stderr)])
print([name for name in sys.modules if name.partition(".")[0] == "opa"], sys.stdin.read())
thread = threading.Thread(target=lambda: (time.sleep(0.1), print("thread")))
thread.start()
sys.stderr.write("error")
sys.exit({status})
"""


@pytest.mark.parametrize("kind", ["-m", "-c"])
@pytest.mark.parametrize("status", [0, 3, "'why'"])
def test_a_fork_tells_the_same_as_a_process_of_its_own(tmp_path: Path, kind: str, status: object) -> None:
    code = TELL.replace("{status}", str(status))
    (tmp_path / "told.py").write_text(code)
    command = [sys.executable, kind, "told" if kind == "-m" else code, "a", "--b"]
    environ = {**os.environ, "MINE": "1", "TZ": "Asia/Tokyo"}
    forked, fresh = (
        programs.run(command, cwd=tmp_path, env=environ, input="given", fresh=fresh) for fresh in (False, True)
    )
    assert forked.stdout == fresh.stdout
    assert (forked.returncode, forked.stderr) == (fresh.returncode, fresh.stderr)


@pytest.mark.parametrize("fresh", [False, True])
def test_the_input_of_a_program_may_be_longer_than_a_pipe_holds(fresh: bool) -> None:
    command = [sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"]
    assert programs.run(command, input="x" * 1_000_000, fresh=fresh).stdout == "1000000\n"


def test_the_script_of_a_package_is_forked_as_well() -> None:
    forked, fresh = (programs.run([programs.OPA, "config", "--help"], fresh=fresh) for fresh in (False, True))
    assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)


@pytest.mark.parametrize(("log_format", "begin"), [("json", "{"), ("text", "error: ")])
def test_a_forked_command_writes_its_log_as_its_own_environment_says(log_format: str, begin: str) -> None:
    environ = {**os.environ, "OPA_LOG_FORMAT": log_format, "MODE": "wrong"}
    forked, fresh = (programs.run([programs.OPA, "start"], env=environ, fresh=fresh) for fresh in (False, True))
    assert forked.returncode == fresh.returncode == 1
    assert forked.stderr.startswith(begin)
    assert fresh.stderr.startswith(begin)


def start(code: str, **options: object) -> programs.Program:
    with tempfile.TemporaryFile() as file:
        return programs.start([sys.executable, "-c", code], stdout=file, stderr=file, **options)  # type: ignore[arg-type]


def is_forked(**options: object) -> bool:
    program = start("", **options)
    assert program.wait(30) == 0
    return isinstance(program, programs.ForkedProgram)


def test_a_program_is_known_as_one_of_this_run() -> None:
    program = start("import time; time.sleep(60)")
    assert f"{RUN}={os.environ[RUN]}" in Path(f"/proc/{program.pid}/environ").read_text().split("\0")
    program.kill()
    program.wait(30)


def test_a_signal_ends_it() -> None:
    program = start("import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.1)
    assert program.poll() is None
    program.kill()
    assert program.wait(30) == -signal.SIGKILL
    program.terminate()
    assert program.poll() == -signal.SIGKILL


def test_a_program_that_takes_too_long_is_ended() -> None:
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        programs.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
    assert time.monotonic() - started < 30


def test_a_program_is_not_forked_where_that_could_make_a_difference(tmp_path: Path) -> None:
    assert is_forked(cwd=tmp_path, env={**os.environ, "OPA_MINE": "1"})
    for name in ("PYTHONHASHSEED", "LC_ALL", "LOGURU_LEVEL", "ENVVAR_PREFIX_FOR_DYNACONF"):
        assert not is_forked(cwd=tmp_path, env={**os.environ, name: "1" if name != "LC_ALL" else "C"}), name
    (tmp_path / "redis.py").touch()
    assert not is_forked(cwd=tmp_path)
    for options in (["-I"], ["-W", "error"], ["-X", "utf8"]):
        done = programs.run([sys.executable, *options, "-c", "import sys; print(sys.flags, sys._xoptions)"])
        assert done.stdout == subprocess.run(done.args, capture_output=True, text=True, check=True).stdout
