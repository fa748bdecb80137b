"""10,000 events in containers, while a worker, the api and RabbitMQ go away: `python -m tests.events [COUNT]`.

It builds the image with the packages for SQL, and starts the stack of `docker-compose.yml`, with PostgreSQL and two
workers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docker.engine import Stack, built_image, docker, running, write_plugin
from tests.events.losses import LOSSES, emit_many, write_many

COUNT = 10_000


class Containers:
    """The stack of the repository.

    Args:
        stack: it runs.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.url = f"http://127.0.0.1:{stack.port}"
        self._killed = 0

    def kill_worker(self) -> None:
        """One of the two, which the next one takes the place of."""
        self._stack.compose("up", "--detach", "--wait", "--scale", "worker=2")
        docker("kill", self._stack.container("worker", 1 + self._killed % 2))
        self._killed += 1
        print("a worker was killed", flush=True)

    def kill_api(self) -> None:
        """With all of its processes."""
        docker("kill", self._stack.container("api"))
        docker("start", self._stack.container("api"))
        print("the api was killed", flush=True)

    def restart_broker(self) -> None:
        """RabbitMQ, with its data."""
        self._stack.compose("restart", "--timeout", "5", "rabbitmq")
        print("RabbitMQ was restarted", flush=True)


def main(count: int) -> None:
    """Run both, and tell what has become of the events."""
    with built_image("sql") as image, TemporaryDirectory() as name:
        (Path(name) / "losses").mkdir()
        stack = Stack(
            Path(name) / "losses",
            image,
            environ={"CELERY_PARAMS": "-c 2", "WEB_CONCURRENCY": "1", "COMPOSE_PROFILES": "sql"},
        )
        # One that was killed stays away until it is started.
        stack.override("once.yml", 'services:\n  worker: {restart: "no"}\n  api: {restart: "no"}\n')
        stack.leave_out("mongo", "beat")
        write_plugin(stack.plugins, "losses.py", LOSSES)
        with running(stack):
            place = Containers(stack)
            stack.compose("up", "--detach", "--wait", "--scale", "worker=2")
            print(emit_many(place, count), flush=True)
            print(write_many(place, count), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
