"""RabbitMQ for tests: a container, and in it a virtual host for each test."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import quote

from tests.docker.container import Container
from tests.docker.engine import docker, unique
from tests.no_answer import NO_ANSWER
from tests.serve.process import free_port, wait_until

IMAGE = "rabbitmq:4-management"
AUTHORIZATION = "Basic " + base64.b64encode(b"guest:guest").decode()


class RabbitMQ(Container):
    """RabbitMQ in a container, with its management."""

    def __init__(self) -> None:
        self.name = unique(f"rabbitmq-{free_port()}")
        self.port, self._management = free_port(), free_port()
        self._virtual_hosts = count(1)

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self._management}/api"

    def run(self) -> None:
        ports = [f"--publish=127.0.0.1:{self.port}:5672", f"--publish=127.0.0.1:{self._management}:15672"]
        # Its data lies in a folder that is named after the host.
        docker("run", "--detach", "--name", self.name, "--hostname", "rabbitmq", *ports, IMAGE)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, what="RabbitMQ is ready")

    def _is_ready(self) -> bool:
        try:
            return bool(self.api("GET", "/health/checks/port-listener/5672")["status"] == "ok")
        except NO_ANSWER:
            return False

    def virtual_host(self) -> str:
        """The URL of a new, empty one."""
        name = f"test-{next(self._virtual_hosts)}"
        self.api("PUT", f"/vhosts/{name}", {})
        self.api("PUT", f"/permissions/{name}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        return f"pyamqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`."""
        docker("exec", self.name, "rabbitmqctl", "--quiet", *arguments)

    @property
    def has_alarm(self) -> bool:
        try:
            return bool(self.api("GET", "/health/checks/local-alarms")["status"] != "ok")
        except urllib.error.HTTPError:
            return True

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """What the management interface answers; None where that is nothing."""
        request = urllib.request.Request(
            f"{self._base}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": AUTHORIZATION, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def queue(self, url: str, name: str) -> Any:
        """What the management interface knows of a queue in the virtual host of `url`, as soon as it knows it."""
        path = f"/queues/{quote(url.rpartition('/')[2], safe='')}/{quote(name, safe='')}"
        return wait_until(lambda: self._known(path), what=f"RabbitMQ knows the queue {name}")

    def _known(self, path: str) -> Any:
        try:
            return self.api("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def messages(self, url: str, queue: str) -> list[Any]:
        """The messages that wait in a queue, and leave them there."""
        asked = {"count": 1000, "ackmode": "ack_requeue_true", "encoding": "auto"}
        path = f"/queues/{quote(url.rpartition('/')[2], safe='')}/{quote(queue, safe='')}/get"
        found: list[Any] = self.api("POST", path, asked)
        return found


@contextmanager
def rabbitmq_server() -> Iterator[RabbitMQ]:
    server = RabbitMQ()
    try:
        server.run()
        yield server
    finally:
        server.remove()
