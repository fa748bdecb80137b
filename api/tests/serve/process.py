"""`opa start` as a process of its own, in a project folder."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from tests import programs
from tests.no_answer import NO_ANSWER

T = TypeVar("T")

COMPONENTS = ("MONGODB", "WALRUS", "AIOREDIS", "CELERY", "SQL", "SQL_SYNC")


def wait_until(
    condition: Callable[[], T | Literal[False] | None], *, seconds: float = 240, what: str | Callable[[], str] = ""
) -> T:
    """Wait until `condition` gives something true, and give that.

    What takes long to ask, as a command of Docker does, is asked half of the time at most: the machine has other work.

    Args:
        what: what was waited for, or what shows why it did not come, such as a log, which is read then.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {(what() if callable(what) else what) or condition}")
        time.sleep(min(max(0.05, time.monotonic() - asked), 1))


def free_port(*, in_a_row: int = 1) -> int:
    """The first of so many ports, one behind the other, which nothing listens on.

    Below those that the system gives to connections (from 32768 on), so that none of these takes it meanwhile.
    """
    while True:
        first = random.SystemRandom().randrange(20_000, 32_000, in_a_row)
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for port in range(first, first + in_a_row):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


class Opa:
    """A project folder, and `opa start` in it.

    Attributes:
        is_fresh: whether the interpreter is started, for a test of what a process imports.
    """

    is_fresh = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins = folder / "plugins"
        self.plugins.mkdir(parents=True)
        (folder / "settings").mkdir()
        self.port = free_port()
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OPA_") and name not in ("ENV", "MODE", "WEB_CONCURRENCY")
        } | {
            "OPA_PLUGIN_PATHS": str(self.plugins),
            "OPA_SETTINGS_DIR": str(folder / "settings"),
            "OPA_PORT": str(self.port),
            "OPA_LOG_FORMAT": "text",
            **{f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no" for name in COMPONENTS},
        }
        self.process: programs.Program | None = None
        self._log = folder / "log.txt"

    def plugin(self, name: str, text: str) -> Path:
        file = self.plugins / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whole at once: a watcher must not see half a file.
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_text(textwrap.dedent(text))
        fresh.rename(file)
        return file

    def hello(self, word: str = "world") -> Path:
        return self.plugin(
            "hello.py",
            f"""
            from opa import get_router

            router = get_router()


            @router.get("/hello")
            async def hello():
                return "{word}"
            """,
        )

    def start(self, command: str = "start", **environ: str) -> None:
        with self._log.open("ab") as log:
            self.process = programs.start(
                [programs.OPA, command],
                cwd=self.folder,
                env={**self.environ, **environ},
                stdout=log,
                stderr=log,
                fresh=self.is_fresh,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str, *, timeout: float = 10) -> Any:
        """The JSON answer of a route."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return json.loads(answer.read())

    def answers(self, path: str, expected: Any = None) -> bool:
        """Whether a route answers, and with `expected` where that is given."""
        try:
            answer = self.get(path, timeout=2)
        except NO_ANSWER:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            return False
        return expected is None or answer == expected

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.answers("/readyz"), what=lambda: f"ready\n{self.log}")

    def run_to_end(self, **environ: str) -> int:
        """Start, and wait for the end that it comes to by itself."""
        self.start(**environ)
        assert self.process is not None
        return self.process.wait(30)

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 20) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it, and what it has started."""
        if self.process is not None and self.process.poll() is None:
            left = self.children()
            self.process.kill()
            self.process.wait()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def serving(self) -> int:
        """The one of the children that listens: another may be in spare."""
        port = f":{self.port:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        (inode,) = [words[9] for words in lines if words[1].endswith(port) and words[3] == "0A"]
        (child,) = [pid for pid in self.children() if f"socket:[{inode}]" in links_of(pid)]
        return child

    def children(self) -> list[int]:
        assert self.process is not None
        return children_of(self.process.pid)


def links_of(pid: int) -> set[str]:
    """What the file descriptors of a process are."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed just now
            found.add(str(link.readlink()))
    return found


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_halted(pid: int) -> bool:
    """Whether all its threads have been stopped by SIGSTOP."""
    files = Path(f"/proc/{pid}/task").glob("*/stat")
    return {file.read_text().rpartition(")")[2].split()[0] for file in files} == {"T"}


def own_memory(pid: int) -> float:
    """Megabytes that a process has written to, and shares with no other."""
    found = re.search(r"^Private_Dirty: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


@contextlib.contextmanager
def opa_in(folder: Path) -> Iterator[Opa]:
    """A project whose process, and all that it started, is gone in the end."""
    opa = Opa(folder)
    try:
        yield opa
    finally:
        opa.kill()
