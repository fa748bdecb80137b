"""`opa up` as a process of its own, in a folder of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests import programs
from tests.no_answer import NO_ANSWER
from tests.serve.process import children_of, free_port, is_running, wait_until

# There is none for Python 3.14 yet.
HAS_MONGO = importlib.util.find_spec("secantus") is not None


class Up:
    """`opa up` in a folder of its own."""

    def __init__(self, folder: Path, opa: str = programs.OPA) -> None:
        self.folder = folder
        self.opa = opa
        self.port = free_port()
        self.log = folder.parent / f"{folder.name}.log"
        self.process: programs.Program | None = None
        self.processes: set[int] = set()
        own = {"ENV", "MODE", "WEB_CONCURRENCY"}
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("OPA_") and name not in own
        } | {"OPA_LOG_FORMAT": "text"}

    def start(self, *options: str, wrapper: Sequence[str] = (), **more: Any) -> None:
        with self.log.open("ab") as log:
            self.process = programs.start(
                [*wrapper, self.opa, "up", "--port", str(self.port), *options],
                cwd=self.folder,
                env=self.environ,
                **{"stdout": log, "stderr": log} | more,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def output(self) -> str:
        return self.log.read_text()

    def request(self, path: str, method: str = "GET") -> Any:
        """The JSON answer, or None where there is none yet."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read())
        except NO_ANSWER:
            assert self.process is not None
            assert self.process.poll() is None, self.output
            return None

    def passwords(self) -> set[str]:
        """Those of its servers, as the other commands find them."""
        settings = json.loads((self.folder / ".opa" / "running.json").read_text())["settings"]
        return {word for url in settings.values() for word in re.findall(r":([^:/]+)@", str(url))}

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.request("/readyz"), what="opa up is ready")
        self.processes = descendants(self.pid)
        assert len(self.processes) >= 3 + HAS_MONGO, "Valkey, SecantusDB, the api and its reloader"

    def end(self) -> int:
        """Wait for the end, and give the exit status."""
        assert self.process is not None
        return self.process.wait(60)

    def nothing_is_left(self) -> bool:
        return not any(is_running(pid) for pid in self.processes)

    def child(self, name: str) -> int:
        """The process id of a child whose command line has `name` in it."""
        return next(pid for pid in children_of(self.pid) if name in Path(f"/proc/{pid}/cmdline").read_text())


def descendants(pid: int) -> set[int]:
    found = set(children_of(pid))
    for child in list(found):
        found |= descendants(child)
    return found


@contextlib.contextmanager
def up_in(folder: Path, opa: str = programs.OPA) -> Iterator[Up]:
    """An `opa up` that is gone in the end, with all that it started; `opa` is the command."""
    folder.mkdir()
    up = Up(folder, opa)
    try:
        yield up
    finally:
        if up.process is not None and up.process.poll() is None:
            left = descendants(up.pid)
            up.process.kill()
            up.process.wait()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
