"""Stands in for the driver of PostgreSQL: as much of DB-API 2.0 as a plugin calls."""

from __future__ import annotations


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[str, str]] = []

    def execute(self, query: str) -> None:
        self._rows = [(query, self._connection.parameters["user"])]

    def fetchall(self) -> list[tuple[str, str]]:
        return self._rows


class Connection:
    def __init__(self, parameters: dict[str, str]) -> None:
        self.parameters = parameters
        self.closed = False

    def cursor(self) -> Cursor:
        assert not self.closed
        return Cursor(self)

    def close(self) -> None:
        self.closed = True


def connect(**parameters: str) -> Connection:
    return Connection(parameters)
