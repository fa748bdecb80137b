"""Programs that a test starts, as processes of their own.

A command of `opa` needs longer for importing libraries than for what it does. So a Python program is forked from a
process that has imported them (`tests/fork_server.py`) wherever that makes no difference; it is started as it is
elsewhere, and with `fresh=True`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from tests.leftovers import RUN

OPA = str(Path(sys.executable).with_name("opa"))

ENVIRON = dict(os.environ)
"""The environment before any test has changed it."""

# What the interpreter reads at its start, besides what libraries read at their import.
OF_THE_INTERPRETER = ("PYTHON", "LC_", "LANG")


class ForkServer:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._command, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = str(Path(__file__).with_name("fork_server.py"))
        with other, second:
            self._process = subprocess.Popen(
                [sys.executable, program, str(other.fileno()), str(second.fileno())],
                pass_fds=[other.fileno(), second.fileno()],
                cwd="/",
                # All that it forks is known by this variable, as all else that the run starts.
                env=ENVIRON | ({RUN: os.environ[RUN]} if RUN in os.environ else {}),
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._end, os.getpid())
        told = json.loads(self._control.recv(1 << 20))
        self._variables: set[str] = set(told["variables"])
        self._modules: set[str] = set(told["modules"])

    def _end(self, owner: int) -> None:
        if os.getpid() == owner:  # and not a fork of it
            self._control.close()
            self._command.close()
            self._process.wait()

    def fork(
        self, command: list[str], cwd: str, environ: dict[str, str], streams: list[int], *, session: bool
    ) -> ForkedProgram | None:
        """Fork a program, or give None where a process of its own could do something else."""
        found = _parse(command, cwd)
        if found is None:
            return None
        kind, arguments, path = found
        if any(environ.get(name) != ENVIRON.get(name) for name in self._read_early(environ)):
            return None
        if kind in ("-m", "-c") and any(entry.stem in self._modules for entry in Path(cwd).iterdir()):
            return None
        request = {
            "kind": kind,
            "arguments": arguments,
            "path": path,
            "cwd": cwd,
            "env": environ,
            "session": session,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        reply, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control = self._command if _is_command(kind, arguments) else self._control
        with other:
            socket.send_fds(control, [json.dumps(request).encode()], [other.fileno(), *streams])
        return ForkedProgram(command, reply)

    def _read_early(self, environ: dict[str, str]) -> set[str]:
        names = environ.keys() | ENVIRON.keys()
        return self._variables | {name for name in names if name.startswith(OF_THE_INTERPRETER)}


def _parse(command: list[str], cwd: str) -> tuple[str, list[str], str] | None:
    """What kind of program it is, its arguments, and the first entry of `sys.path`."""
    program, *arguments = command
    if program == sys.executable:
        match arguments:
            case ["-m", *rest]:
                return "-m", rest, cwd
            case ["-c", *rest]:
                return "-c", rest, ""
    elif Path(program).parent == Path(sys.executable).parent and Path(program).name in ("opa", "celery"):
        return "script", command, str(Path(program).parent)
    return None


def _is_command(kind: str, arguments: list[str]) -> bool:
    """Whether it is `opa`, however it is started."""
    return Path(arguments[0]).name == "opa" if kind == "script" else (kind, *arguments[:1]) == ("-m", "opa")


@cache
def _fork_server(process: int) -> ForkServer:
    return ForkServer()


class ForkedProgram:
    """What of `subprocess.Popen` tests use, for a program that was forked."""

    def __init__(self, args: list[str], reply: socket.socket) -> None:
        self.args = args
        self.returncode: int | None = None
        self._reply = reply
        self.pid = int(reply.recv(64))

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._reply], [], [], 0)[0]:
            self._receive()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._reply], [], [], timeout)[0]:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            self._receive()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _receive(self) -> None:
        self.returncode = int(self._reply.recv(64))
        self._reply.close()


Program = subprocess.Popen[bytes] | ForkedProgram


def start(
    command: list[str],
    *,
    stdout: BinaryIO | int,
    stderr: BinaryIO | int,
    stdin: BinaryIO | int = 0,
    cwd: Path | str | None = None,
    env: dict[str, str] | None = None,
    start_new_session: bool = False,
    fresh: bool = False,
) -> Program:
    """Start a program; standard output and error are files.

    Args:
        command: the program and its arguments.
        fresh: start the interpreter, for a test of what a process imports or of the memory that it needs.
    """
    command = [str(part) for part in command]
    if not fresh and sys.platform == "linux":
        folder = str(Path(cwd or ".").resolve())
        streams = [stream if isinstance(stream, int) else stream.fileno() for stream in (stdin, stdout, stderr)]
        environ = dict(os.environ if env is None else env)
        forked = _fork_server(os.getpid()).fork(command, folder, environ, streams, session=start_new_session)
        if forked is not None:
            return forked
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=start_new_session,
    )


def run(
    command: list[str],
    *,
    input: str | None = None,
    cwd: Path | str | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 60,
    check: bool = False,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and give what it wrote, like `subprocess.run(…, capture_output=True, text=True)`."""
    with contextlib.ExitStack() as stack:
        stdin: BinaryIO | int = 0
        if input is not None:
            given = stack.enter_context(tempfile.TemporaryFile())
            given.write(input.encode())
            given.seek(0)
            stdin = given
        stdout, stderr = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        program = start(command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env, fresh=fresh)
        try:
            status = program.wait(timeout)
        except BaseException:
            program.kill()
            program.wait()
            raise
        texts: list[Any] = []
        for stream in (stdout, stderr):
            stream.seek(0)
            texts.append(stream.read().decode().replace("\r\n", "\n"))
    done = subprocess.CompletedProcess(command, status, *texts)
    if check:
        done.check_returncode()
    return done
