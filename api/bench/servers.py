"""Run an application under gunicorn with uvicorn workers, and opa-stack by its own command, which does the same."""

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
# Of an application with thousands of plugins, on a machine that has other things to do.
START_LIMIT = 300.0
STOP_LIMIT = 30.0
PAUSE = 0.01


@dataclass(frozen=True)
class App:
    """An application to measure.

    Attributes:
        name: what it is called.
        target: where gunicorn's command finds it; None is the stack's own command, `opa start`.
        environment: its environment variables.
        path: of a route that answers as soon as it serves.
    """

    name: str
    target: str | None
    environment: Mapping[str, str]
    path: str = "/hello"


@dataclass(frozen=True)
class Server:
    """An application that serves: the process id of the master, and the port on loopback."""

    pid: int
    port: int


# The last one, where it is set, would have each start compile every module again.
NOT_PASSED_ON = ("OPA_", "GUNICORN_", "PYTHONDONTWRITEBYTECODE")
# Neither application talks to a service.
WITHOUT_SERVICES = {
    f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no"
    for name in ("MONGODB", "WALRUS", "AIOREDIS", "CELERY", "SQL", "SQL_SYNC")
}
BARE = App("bare FastAPI", "bench.bare:app", {})
# By its own command, as users start it: with its limits, and what it does to an answer.
STACK = App("opa-stack", None, {"OPA_PLUGIN_PATHS": str(FOLDER / "plugins"), **WITHOUT_SERVICES})
COUNTING = App("opa-stack with METRICS", None, {**STACK.environment, "OPA_METRICS": "true"})


@contextmanager
def serving(app: App, core: int | None = None, *, workers: int = 1) -> Iterator[Server]:
    """Serve `app` on a free loopback port.

    Args:
        app: what to serve.
        core: the one that its processes run on; None is any.
        workers: processes that serve.

    Raises:
        RuntimeError: the server ended or did not answer in time; the message has what it said.
    """
    port = free_port()
    outer = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    own = {"ENV": "bench", "OPA_PORT": str(port), "OPA_LOGLEVEL": "warning", "WEB_CONCURRENCY": str(workers)}
    process = subprocess.Popen(  # noqa: S603 - gunicorn, or our own command
        _command(app, port),
        cwd=FOLDER.parent,
        env={**outer, **own, **app.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})  # its workers, forked later, inherit it
        _wait_until_it_answers(process, port, app)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _command(app: App, port: int) -> list[str]:
    if app.target is None:
        return [sys.executable, "-m", "opa.cli", "start"]
    return [
        *(sys.executable, "-m", "gunicorn", app.target, "--worker-class", "uvicorn_worker.UvicornWorker"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"),
        # A worker that has not loaded the application by then is killed.
        *("--timeout", f"{START_LIMIT:g}"),
    ]


def free_port() -> int:
    """A port of the loopback address on which nothing listens."""
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
            status = _status(port, app.path)
        except OSError as error:
            status = repr(error)
        if status == 200:
            return
        time.sleep(PAUSE)
    raise RuntimeError(f"the server of {app.name} does not answer with 200 after {START_LIMIT:g} s: {status}")


def _status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=START_LIMIT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
