"""Child processes: started in order, watched, and stopped in reverse, so that none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from opa._util.exit_status import how_it_ended
from opa._util.flag import Flag
from opa.errors import StartError
from opa.local.leash import leashed
from opa.process.child import PAUSE, Child
from opa.process.folder import new_private

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST_LINES = 5
LAST_BYTES = 10_000


@dataclass(frozen=True)
class Program:
    """Something that runs as a child process.

    Attributes:
        name: for messages.
        command: what to run; the first item is the path of a file.
        folder: its current folder.
        environ: environment variables in addition to those of this process.
        log: where its output goes; None is the output of this process.
        is_ready: whether it does what it was started for.
        start_limit: seconds until it must be ready.
        stop_limit: seconds that it may take to end; then it is killed.
        keep_open: file descriptors that it keeps, such as that of a lock.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    is_ready: Callable[[], bool] = lambda: True
    start_limit: float = 30
    stop_limit: float = 10
    keep_open: tuple[int, ...] = ()


class ProgramProcess(Child):
    """A program as a child process. It ends when this process does, however that comes about."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program

    def start(self) -> None:
        """Start it; to be called in the main thread, whose end would be its own.

        Raises:
            StartError: there is no place for its data or its log.
        """
        program = self.program
        _make(program.folder)
        with _output(program.log) as output:
            self.spawn(
                leashed(list(program.command)),
                cwd=program.folder,
                env={**os.environ, **program.environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=program.keep_open,
                # Ctrl-C in a terminal goes to all processes of a group; this one is to be stopped in its turn.
                start_new_session=True,
            )

    def wait_until_ready(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Wait for a program that was started.

        Args:
            pause: called between looks with the seconds to wait; what it raises ends the waiting.

        Raises:
            StartError: it has ended, or is not ready within its limit.
        """
        deadline = time.monotonic() + self.program.start_limit
        while True:
            if not self.runs:
                raise self.end_error()
            if self.program.is_ready():
                return
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.program.name} (process {self.pid}) is not ready within {self.program.start_limit:g} s",
                    where=str(self.program.log or ""),
                    hint=self._last_words(),
                )
            pause(PAUSE)

    def stop(self, is_urgent: Callable[[], bool] = lambda: False) -> None:
        """End it with SIGTERM; where that takes longer than its limit, or it `is_urgent`, with SIGKILL."""
        self.ends_within(self.program.stop_limit, is_urgent)
        self.kill()

    def kill(self) -> None:
        """End it, and what it has left behind, with SIGKILL."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.status()

    def end_error(self) -> StartError:
        """The error that says how it ended."""
        return StartError(
            f"{self.program.name} (process {self.pid}) ended by itself with {how_it_ended(self.status())}",
            where=str(self.program.log or ""),
            hint=self._last_words(),
        )

    def _last_words(self) -> str:
        if self.program.log is None:
            return "Its messages stand above"
        try:
            with self.program.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_BYTES))
                lines = log.read(LAST_BYTES).decode(errors="replace").splitlines()[-LAST_LINES:]
        except OSError:  # someone has taken it away meanwhile
            return "Its log is gone"
        return f"Its last messages: {' | '.join(lines)}" if lines else "It wrote no message"


def _output(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    if log is None:
        return contextlib.nullcontext()
    _make(log.parent)
    return new_private(log)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder {folder.name} cannot be created: {error.strerror}"
        raise StartError(problem, where=str(folder), hint="Remove what is in its place") from None


class StopAskedError(Exception):
    """SIGINT, SIGTERM or SIGHUP has arrived, or the file is gone while which programs are to run."""


class Supervisor:
    """A context in which programs run; on leaving it they are stopped, the last one first.

    SIGINT, SIGTERM and SIGHUP leave it, without an error. A second one kills what has not ended yet.

    Args:
        while_exists: a file; that it is removed leaves the context as a signal does.
    """

    def __init__(self, while_exists: Path | None = None) -> None:
        self._while_exists = while_exists
        self.children: list[ProgramProcess] = []
        self._stop = Flag()
        self._hurry = False
        self._handlers: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            # Anyone who starts us may have them ignored, as nohup does.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            for child in reversed(self.children):
                child.stop(lambda: self._hurry)
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        return kind is StopAskedError

    def start(self, *programs: Program) -> None:
        """Start programs side by side, and wait until all are ready.

        Raises:
            StartError: one of them has ended, or is not ready within its limit.
        """
        children = [ProgramProcess(program) for program in programs]
        for child in children:
            self._pause(0)
            self.children.append(child)
            child.start()
        for child in children:
            child.wait_until_ready(self._pause)

    def watch(self, check: Callable[[], object] = lambda: None) -> None:
        """Wait until it is time to leave.

        Args:
            check: called several times a second; what it raises ends the waiting.

        Raises:
            StartError: a child has ended by itself.
            StopAskedError: a signal has arrived, or the file is gone; it ends with the context.
        """
        while True:
            for child in self.children:
                if not child.runs:
                    raise child.end_error()
            check()
            self._pause(PAUSE)

    def _pause(self, seconds: float) -> None:
        is_gone = self._while_exists is not None and not self._while_exists.exists()
        if is_gone or self._stop.wait(seconds):
            raise StopAskedError

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Nothing that takes a lock: the main thread may be anywhere, also in the middle of what would need it."""
        self._hurry = self._stop.is_set()
        self._stop.set()
