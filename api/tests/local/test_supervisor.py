from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opa.errors import StartError
from opa.local.supervisor import Program, ProgramProcess, Supervisor
from tests.serve.process import is_running, wait_until
from tests.signals import signal_at

MakeProgram = Callable[..., Program]

# Says in a file that all programs share what happens to it.
NOTING = """
import signal, sys, time
name, notes = sys.argv[1:]

def note(what):
    with open(notes, "a") as file:
        file.write(f"{name} {what}\\n")

def stop(*_):
    note("stops")
    sys.exit()

signal.signal(signal.SIGTERM, stop)
note("runs")
while True:
    time.sleep(1)
"""
STUBBORN = NOTING.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes"
    file.touch()
    return file


@pytest.fixture
def program(tmp_path: Path, notes: Path) -> MakeProgram:
    """A program of that name, ready when it has noted that it runs."""

    def make(name: str, script: str = NOTING, **options: Any) -> Program:
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(script))
        defaults: dict[str, Any] = {
            "folder": tmp_path,
            "log": tmp_path / f"{name}.log",
            "is_ready": lambda: f"{name} runs" in notes.read_text(),
        }
        return Program(name=name, command=[sys.executable, str(file), name, str(notes)], **defaults | options)

    return make


def supervise(
    *programs: Program,
    meanwhile: Callable[[Supervisor], None] = lambda supervisor: None,
    while_exists: Path | None = None,
) -> Supervisor:
    with Supervisor(while_exists) as supervisor:
        for program in programs:
            supervisor.start(program)
        meanwhile(supervisor)
        supervisor.watch()
    return supervisor


def send_soon(number: int) -> None:
    threading.Timer(0.2, os.kill, [os.getpid(), number]).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_programs_the_last_one_first(program: MakeProgram, notes: Path, number: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    supervise(program("a"), program("b"), program("c"), meanwhile=lambda _: send_soon(number))
    assert notes.read_text().splitlines() == ["a runs", "b runs", "c runs", "c stops", "b stops", "a stops"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_while_programs_start_stops_those_that_run(program: MakeProgram, notes: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.start(program("a"))
        send_soon(signal.SIGTERM)
        supervisor.start(program("never", is_ready=lambda: False))
    assert "a stops" in notes.read_text()
    assert not any(child.runs for child in supervisor.children)


def test_that_its_file_is_removed_stops_all_programs(program: MakeProgram, notes: Path, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    file.touch()
    supervise(program("a"), program("b"), meanwhile=lambda _: file.unlink(), while_exists=file)
    assert notes.read_text().splitlines()[-2:] == ["b stops", "a stops"]


def test_nothing_starts_where_its_file_is_gone_already(program: MakeProgram, notes: Path, tmp_path: Path) -> None:
    supervise(program("a"), while_exists=tmp_path / "gone")
    assert notes.read_text() == ""


def test_an_error_stops_all_programs(program: MakeProgram, notes: Path) -> None:
    def fail(supervisor: Supervisor) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        supervise(program("a"), program("b"), meanwhile=fail)
    assert notes.read_text().splitlines()[-2:] == ["b stops", "a stops"]


def test_a_program_that_ends_by_itself_is_an_error_with_its_last_words(program: MakeProgram, notes: Path) -> None:
    failing = program("failing", "import sys; open(sys.argv[2], 'a').write('failing runs\\n'); sys.exit('why')")
    with pytest.raises(StartError) as caught:
        supervise(program("a"), failing)
    assert re.fullmatch(
        rf"failing \(process \d+\) ended by itself with exit status 1 \({failing.log}\). Its last messages: why",
        str(caught.value),
    )
    assert "a stops" in notes.read_text()


def test_the_log_takes_the_place_of_a_link_and_a_folder_that_cannot_be_made_is_one_line(
    program: MakeProgram, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "data").symlink_to("nowhere")
    (tmp_path / "a.log").symlink_to(victim)
    with pytest.raises(StartError, match="the folder data cannot be created: File exists"):
        supervise(program("a"), program("b", folder=tmp_path / "data"))
    assert victim.read_text() == "precious"
    assert not (tmp_path / "a.log").is_symlink()


def test_a_program_that_is_killed_is_an_error_that_names_the_signal(program: MakeProgram) -> None:
    with pytest.raises(StartError, match=r"a \(process \d+\) ended by itself with signal SIGKILL"):
        supervise(program("a"), meanwhile=lambda supervisor: os.kill(supervisor.children[0].pid, signal.SIGKILL))


def test_a_program_that_is_not_ready_in_time_is_an_error(program: MakeProgram) -> None:
    slow = program("slow", is_ready=lambda: False, start_limit=0.3)
    with pytest.raises(StartError, match=r"slow \(process \d+\) is not ready within 0.3 s"), Supervisor() as supervisor:
        supervisor.start(slow)
    assert not supervisor.children[0].runs


def test_a_program_that_does_not_stop_is_killed_after_its_limit(program: MakeProgram) -> None:
    stubborn = program("stubborn", STUBBORN, stop_limit=0.5)
    supervisor = supervise(stubborn, meanwhile=lambda _: send_soon(signal.SIGTERM))
    assert not is_running(supervisor.children[0].pid)


def test_a_second_signal_kills_what_has_not_stopped(program: MakeProgram) -> None:
    def send_two(supervisor: Supervisor) -> None:
        send_soon(signal.SIGINT)
        threading.Timer(1, os.kill, [os.getpid(), signal.SIGINT]).start()

    before = time.monotonic()
    supervisor = supervise(program("stubborn", STUBBORN, stop_limit=60), meanwhile=send_two)
    assert time.monotonic() - before < 30
    assert not is_running(supervisor.children[0].pid)


def test_processes_that_a_program_leaves_behind_end_with_it(program: MakeProgram, tmp_path: Path) -> None:
    script = f"""
        import subprocess, sys, time
        left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open({str(tmp_path / "left")!r}, "w").write(str(left.pid))
        open(sys.argv[2], "a").write("parent runs")
        time.sleep(60)
    """
    child = ProgramProcess(program("parent", script))
    child.start()
    child.wait_until_ready()
    left = int((tmp_path / "left").read_text())
    assert is_running(left)
    child.stop()
    wait_until(lambda: not is_running(left), what="the child of the child has ended")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_program_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from opa.local.supervisor import Program, ProgramProcess
        child = ProgramProcess(Program("sleep", ["/bin/sleep", "60"], Path.cwd()))
        child.start()
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    wait_until(lambda: not is_running(child), what="the child has ended")


def test_a_file_in_the_current_folder_does_not_stand_in_for_a_module(
    program: MakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signal.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    child = ProgramProcess(
        program("a", "import sys, time; open(sys.argv[2], 'a').write('a runs'); time.sleep(60)", folder=tmp_path)
    )
    child.start()
    try:
        child.wait_until_ready()
    finally:
        child.kill()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_signal_at_any_moment_of_the_waiting_ends_it(times: int) -> None:
    for moment in range(50):
        with Supervisor() as supervisor:
            signal_at(moment, supervisor.watch, signal.SIGTERM, times=times)


@pytest.mark.parametrize("pause", [0, 0.0005, 0.002])
def test_signals_that_come_close_together_stop_it(pause: float, tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from opa.local.supervisor import Program, Supervisor
        with Supervisor() as supervisor:
            supervisor.start(Program("sleep", ["/bin/sleep", "60"], Path.cwd()))
            print(supervisor.children[0].pid, flush=True)
            supervisor.watch()
    """)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            for _ in range(3):
                process.send_signal(signal.SIGTERM)
                time.sleep(pause)
            try:
                # The last one may come when everything is stopped, and the handlers are those from before.
                assert process.wait(30) in (0, -signal.SIGTERM)
                assert not is_running(child)
            finally:
                process.kill()
