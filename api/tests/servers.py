"""Real servers for tests."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from opa.local.servers import LocalServer, free_port, secantusdb, valkey
from opa.local.supervisor import ProgramProcess
from tests.serve.process import wait_until

__all__ = ["Server", "mongo_server", "redis_server", "wait_until"]


class Server:
    """A server that a test can kill, and start again on the same port with the same data."""

    def __init__(self, server: LocalServer, scheme: str) -> None:
        self.url = f"{scheme}://{server.address}"
        self.port = int(server.address.rpartition(":")[2])
        self.data = server.data
        self._program = server.program
        self._child = ProgramProcess(server.program)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._child = ProgramProcess(self._program)
        self._child.start()
        self._child.wait_until_ready()

    def begin(self, *options: str) -> None:
        """Start it with more options, and do not wait until it is ready."""
        self._child = ProgramProcess(replace(self._program, command=[*self._program.command, *options]))
        self._child.start()

    def kill(self) -> None:
        """SIGKILL: it says good-bye to nobody."""
        self._child.kill()

    def hang(self) -> None:
        """From now on it answers nobody, and refuses nobody either."""
        os.kill(self._child.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `hang`: it answers what it was asked meanwhile."""
        os.kill(self._child.pid, signal.SIGCONT)

    def stop(self) -> None:
        self._child.stop()


def redis_server(folder: Path) -> Server:
    return Server(valkey(folder, free_port()), "redis")


def mongo_server(folder: Path) -> Server:
    """Skips the test where SecantusDB is not installed."""
    server = secantusdb(folder, free_port())
    if server is None:
        pytest.skip("SecantusDB is not installed: it has no release for this version of Python")
    return Server(server, "mongodb")
