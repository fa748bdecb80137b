"""What errors of databases mean."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from opa.core.blame import failed_components
from opa.core.drivers import is_outage
from opa.plugins.driver_sql.errors import DatabaseGoneError, DatabaseRefusedError, as_outage


class ServerError(Exception):
    """As PostgreSQL says it."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("from the server")
        self.sqlstate = sqlstate


def with_code(code: str) -> Exception:
    return ServerError(code)


def of_sqlite(code: int) -> Exception:
    error = sqlite3.OperationalError("from SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "options", "kind"),
    [
        (with_code("57P03"), {}, DatabaseGoneError),  # it starts
        (with_code("53300"), {}, DatabaseGoneError),  # as many connections as there may be
        (with_code("08006"), {}, DatabaseGoneError),
        (ConnectionResetError("reset"), {}, DatabaseGoneError),
        (TimeoutError(), {}, DatabaseGoneError),
        (psycopg.InterfaceError("closed"), {"is_disconnect": True}, DatabaseGoneError),
        (psycopg.errors.ConnectionTimeout("expired"), {"is_connecting": True}, DatabaseGoneError),
        (of_sqlite(sqlite3.SQLITE_BUSY), {}, DatabaseGoneError),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), {}, DatabaseGoneError),
        (with_code("28P01"), {"is_connecting": True}, DatabaseRefusedError),
        (psycopg.OperationalError('database "x" does not exist'), {"is_connecting": True}, DatabaseRefusedError),
        (sqlite3.OperationalError("unable to open database file"), {"is_connecting": True}, DatabaseRefusedError),
        (of_sqlite(sqlite3.SQLITE_NOTADB), {}, DatabaseRefusedError),
        (TypeError("connect() got an unexpected keyword argument"), {"is_connecting": True}, DatabaseRefusedError),
        (psycopg.ProgrammingError("invalid connection option"), {"is_connecting": True}, DatabaseRefusedError),
        (psycopg.ProgrammingError("a statement"), {}, type(None)),
        (sqlite3.OperationalError("no such table: items"), {}, type(None)),
        (psycopg.OperationalError("a function does not exist"), {}, type(None)),
        (with_code("40001"), {}, type(None)),  # could not serialize
        (with_code("40P01"), {}, type(None)),  # deadlock
        (with_code("57014"), {}, type(None)),  # the statement took too long
        (with_code("57014"), {"is_disconnect": True}, type(None)),  # or we have closed its connection
        (with_code("23505"), {}, type(None)),
    ],
)
def test_what_is_gone_is_told_from_what_is_wrong(error: Exception, options: dict[str, bool], kind: type) -> None:
    found = as_outage(error, component="sql", **options)
    assert type(found) is kind


def test_an_outage_is_of_one_component_and_tasks_wait_for_it() -> None:
    # Another application of this process has imported plugins anew.
    from opa.plugins.driver_sql import Sqlalchemy, SqlalchemyAsync
    from opa.plugins.driver_sql.errors import DatabaseGoneError, DatabaseRefusedError

    drivers: list[Any] = []
    for cls, name in ((SqlalchemyAsync, "sql"), (Sqlalchemy, "sql_sync")):
        driver = cls()
        driver.component, driver.pm = name, SimpleNamespace()
        drivers.append(driver)
    error = DatabaseGoneError("gone", component="sql_sync")
    assert isinstance(error, OperationalError)
    assert str(error) == "gone"
    assert [is_outage(error, driver) for driver in drivers] == [False, True]
    assert failed_components(error, drivers) == ["sql_sync"]
    assert not is_outage(DatabaseRefusedError("a wrong password", component="sql"), drivers[0])
