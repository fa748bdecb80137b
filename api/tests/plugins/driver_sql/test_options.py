"""The options of the two drivers."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from contextlib import closing
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy.exc import OperationalError

from opa.errors import ComponentError, OpaError
from opa.plugins.driver_sql.options import options_of
from opa.plugins.driver_sql.packages import need_packages
from tests import programs
from tests.project import Project

POSTGRES = "postgresql://opa:hunter2@db/opa"


def component(is_async: bool = True, **opts: Any) -> Any:
    return SimpleNamespace(component="sql", is_async=is_async, opts=opts)


@pytest.mark.parametrize(
    ("is_async", "given", "made"),
    [
        (True, "postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        (False, "postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        (True, "postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        (True, "sqlite:////tmp/a.db", "sqlite+aiosqlite:////tmp/a.db"),
        (False, "sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
    ],
)
def test_the_library_of_a_database_is_chosen(is_async: bool, given: str, made: str) -> None:
    assert str(options_of(component(is_async, URL=given)).url) == made


def test_options_are_for_the_engine_and_limits_for_the_library() -> None:
    made = options_of(component(URL=POSTGRES, Pool_Size=3, STATEMENT_TIMEOUT=None, CONNECT_ARGS={"timeout": 9}))
    assert made.engine == {"pool_size": 3, "max_overflow": 0, "pool_timeout": 5}
    assert made.connect_args == {"timeout": 9}
    made = options_of(component(URL=POSTGRES))
    assert made.connect_args == {"timeout": 3, "server_settings": {"statement_timeout": "30000"}}
    made = options_of(component(False, URL=POSTGRES, PASSWORD="p/w@", STATEMENT_TIMEOUT=0.5))
    assert made.connect_args == {"connect_timeout": 3, "options": "-c statement_timeout=500"}
    assert made.url.password == "p/w@"


def test_tls_in_the_url_is_that_of_the_library() -> None:
    url = f"{POSTGRES}?sslmode=require"
    made = options_of(component(URL=url))
    assert made.connect_args["ssl"] == "require"
    assert made.url.query == {}
    assert options_of(component(False, URL=url)).url.query == {"sslmode": "require"}
    with pytest.raises(ValueError, match="sslrootcert in the URL cannot be read: No such file"):
        options_of(component(URL=f"{POSTGRES}?sslmode=verify-full&sslrootcert=/nowhere.pem"))


READERS = """
    from typing import Annotated

    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from opa import Component, get_router

    router = get_router()


    @router.get("/async")
    async def read(statement: str, sql: Annotated[AsyncSession, Component("readers")]) -> int:
        return (await sql.execute(text(statement))).scalar_one()


    @router.get("/sync")
    def read_in_thread(statement: str, sql: Annotated[Session, Component("readers_sync")]) -> int:
        return sql.execute(text(statement)).scalar_one()
"""


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("how", ["mode=ro", "immutable=1"])
def test_a_file_that_is_only_read_stays_as_it_is(project: Project, journal: str, how: str) -> None:
    file = project.folder / "data" / "100% of us.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode={journal}; CREATE TABLE t (a); INSERT INTO t VALUES (7)")
    before = file.read_bytes()
    project.plugin("readers.py", READERS)
    project.component("READERS", "sqlalchemy-async", URL=f"sqlite:///{file}?{how}")
    project.component("READERS_SYNC", "sqlalchemy", URL=f"sqlite:///file:{quote(str(file))}?{how}&uri=true")
    with project.client() as client:
        for kind in ("async", "sync"):
            assert client.get(f"/{kind}", params={"statement": "SELECT a FROM t"}).json() == 7
            with pytest.raises(OperationalError, match="attempt to write a readonly database"):
                client.get(f"/{kind}", params={"statement": "INSERT INTO t VALUES (8) RETURNING a"})
    assert file.read_bytes() == before


@pytest.mark.parametrize("driver", ["sqlalchemy-async", "sqlalchemy"])
@pytest.mark.parametrize(
    ("opts", "problem"),
    [
        ({}, "OPTS has no URL"),
        ({"URL": "hunter2"}, "URL cannot be used: it is written postgresql://"),
        ({"URL": "postgresql://u:hunter2@h:port/d"}, "URL cannot be used"),
        ({"URL": "postgresql://h/d", "PASSWORD": "hunter2"}, "PASSWORD needs a user in the URL"),
        ({"URL": POSTGRES, "POOL_SIZE": "many"}, "POOL_SIZE is not a whole number"),
        ({"URL": POSTGRES, "POOL_SIZE": -5}, "POOL_SIZE is not a whole number from 0"),
        ({"URL": POSTGRES, "MAX_OVERFLOW": -2}, "MAX_OVERFLOW is not a whole number from -1"),
        ({"URL": POSTGRES, "POOL_TIMEOUT": "hunter2"}, "POOL_TIMEOUT is neither null nor a number of seconds"),
        ({"URL": "postgresql://u:hunter2@h:70000/d"}, "URL has a port that is not from 1 to 65535"),
        ({"URL": POSTGRES, "POOL_PRE_PING": 3}, "POOL_PRE_PING is neither true nor false"),
        ({"URL": POSTGRES, "CONNECT_TIMEOUT": -1}, "CONNECT_TIMEOUT is neither null nor a number of seconds"),
        ({"URL": POSTGRES, "CONNECT_ARGS": ["a"]}, "CONNECT_ARGS is not a dict"),
        ({"URL": POSTGRES, "POOL_SIEZ": 3}, "Invalid argument(s) 'POOL_SIEZ'"),
        ({"URL": "nosql://u:hunter2@h/d"}, "Can't load plugin: sqlalchemy.dialects:nosql"),
    ],
)
def test_an_option_that_is_of_no_use_is_named(project: Project, driver: str, opts: Any, problem: str) -> None:
    project.component("THING", driver, **opts)
    with pytest.raises(ComponentError) as caught:
        project.prepare()
    assert problem.lower() in str(caught.value).lower()
    assert "OPTIONAL_COMPONENTS.THING" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("driver", "url"),
    [("sqlalchemy-async", "sqlite+pysqlite:///a.db"), ("sqlalchemy", "postgresql+asyncpg://h/d")],
)
def test_a_library_of_the_other_kind_is_refused(project: Project, driver: str, url: str) -> None:
    project.component("THING", driver, URL=url)
    with pytest.raises(ComponentError, match="which is not a?synchronous, and the driver of the component is"):
        project.prepare()


def test_packages_that_are_missing_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("asyncpg", "greenlet") else find(name)
    )
    with pytest.raises(OpaError) as caught:
        need_packages(component(URL=POSTGRES))
    assert str(caught.value) == (
        "the component 'sql' needs greenlet and asyncpg, which are not installed. Install the extra: pip install"
        " 'opa-stack[sql]'. An image gets it with COMPOSE_PROFILES=sql in .env, by docker compose build"
    )
    need_packages(component(False, URL="sqlite:///a.db"))


@pytest.mark.parametrize("load", ["auto", "yes"])
def test_a_host_without_the_packages_for_it_stops_the_start_and_says_what_to_do(
    project: Project, monkeypatch: pytest.MonkeyPatch, load: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "asyncpg" else find(name))
    project.component("SQL", "sqlalchemy-async", load=load, URL="postgresql://opa@localhost:1/opa")
    with (
        pytest.raises(OpaError, match=r"'sql' needs asyncpg, which is not installed.*COMPOSE_PROFILES=sql"),
        project.client(),
    ):
        pass
    project.component("SQL", "sqlalchemy-async", load="auto", URL="postgresql://opa@nowhere.invalid/opa")
    with project.client():
        pass


UNUSED = """
import sys
from opa.bootstrap import prepare
from opa.http.builder import build_app
from opa.settings.load import load_settings
from starlette.testclient import TestClient

with TestClient(build_app(prepare(load_settings()))) as client:
    known = {component["name"]: component["status"] for component in client.get("/readyz").json()["components"]}
    print(known["sql"], sorted({"sqlalchemy", "aiosqlite", "asyncpg", "psycopg"} & sys.modules.keys()))
    print(client.get("/count").text, "sqlalchemy" in sys.modules)
"""


def test_what_nobody_uses_is_not_imported(project: Project) -> None:
    project.component("SQL", "sqlalchemy-async", URL=f"sqlite:///{project.folder / 'a.db'}", load="auto")
    project.plugin(
        "a.py",
        """
        from opa import get_instance, get_router

        router = get_router()

        @router.get("/count")
        async def count():
            from sqlalchemy import text

            async with get_instance("sql")() as session:
                return await session.scalar(text("SELECT 3"))
        """,
    )
    done = programs.run([sys.executable, "-c", UNUSED], fresh=True)
    assert done.stdout.splitlines() == ["connected []", "3 True"]
