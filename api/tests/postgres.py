"""PostgreSQL for tests: a container, and in it a database for each test."""

from __future__ import annotations

import psycopg

from tests.docker.container import Container
from tests.docker.engine import docker, unique
from tests.serve.process import free_port, wait_until

IMAGE = "postgres:17"
PASSWORD = "hunter2-of-postgres"


class Postgres(Container):
    """PostgreSQL in a container."""

    def __init__(self) -> None:
        self.name = unique(f"postgres-{free_port()}")
        self.port = free_port()
        self._databases = 0

    def run(self) -> None:
        # What the disk has is not looked at again.
        docker(
            *("run", "--detach", "--name", self.name, f"--publish=127.0.0.1:{self.port}:5432"),
            *("--env", "POSTGRES_USER=opa", "--env", f"POSTGRES_PASSWORD={PASSWORD}", IMAGE, "-c", "fsync=off"),
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                return False
            return True

        wait_until(is_ready, what="PostgreSQL is ready")

    def url(self, database: str = "opa", password: str = PASSWORD) -> str:
        return f"postgresql://opa:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "opa") -> list[tuple[object, ...]]:
        """Rows of a statement, by a connection of the test's own."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """The URL of a new, empty one."""
        self._databases += 1
        self.execute(f"CREATE DATABASE test_{self._databases}")
        return self.url(f"test_{self._databases}")
