"""Run an application under gunicorn with one uvicorn worker, as the stack does in production."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

FOLDER = Path(__file__).parent
START_LIMIT = 30.0
STOP_LIMIT = 10.0


@dataclass(frozen=True)
class App:
    """An application to measure: what it is called, where a server finds it, and its environment."""

    name: str
    target: str
    environment: Mapping[str, str]


BARE = App("bare FastAPI", "bench.bare:app", {})
STACK = App(
    "opa-stack",
    "opa.main:app",
    {
        "OPA_PLUGIN_PATHS": str(FOLDER / "plugins"),
        # Neither application talks to a service.
        **{f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no" for name in ("MONGODB", "WALRUS", "AIOREDIS", "CELERY")},
    },
)


@contextmanager
def serving(app: App, core: int | None) -> Iterator[int]:
    """Serve `app` on a free loopback port, on one core if there are several; gives the port.

    Raises:
        RuntimeError: the server ended or did not answer in time; the message has what it said.
    """
    port = _free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", app.target),
        *("--worker-class", "uvicorn_worker.UvicornWorker", "--workers", "1"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"),
    ]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("OPA_", "GUNICORN_"))}
    process = subprocess.Popen(  # noqa: S603 - gunicorn, with the two applications of this module
        command,
        cwd=FOLDER.parent,
        env={**outer, "ENV": "bench", **app.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})  # its worker, forked later, inherits it
        _wait_until_it_answers(process, port, app)
        yield port
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(process: subprocess.Popen[str], port: int, app: App) -> None:
    """Not only until it listens: gunicorn does that before its worker has loaded the application."""
    deadline = time.monotonic() + START_LIMIT
    status: int | str = "it does not listen"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server of {app.name} ended at once:\n{process.communicate()[1]}")
        try:
            status = _status(port)
        except OSError as error:
            status = repr(error)
        if status == 200:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server of {app.name} does not answer with 200 after {START_LIMIT:g} s: {status}")


def _status(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=START_LIMIT)
    try:
        connection.request("GET", "/hello")
        return connection.getresponse().status
    finally:
        connection.close()
