"""What an engine is made with: the options of a component."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from opa.plugins.driver_sql.component import Component
from opa.plugins.driver_sql.packages import scheme_of

DEFAULTS: Mapping[str, Any] = {
    "pool_size": 10,
    "max_overflow": 0,
    "pool_timeout": 5,
    "connect_timeout": 3,
    "statement_timeout": 30,
    "pool_pre_ping": True,
}
"""`OPTS` win over these. All but three are options of `create_engine`."""
LONGEST = 86_400
"""Seconds that a time limit may have."""


@dataclass(frozen=True)
class Options:
    """What an engine is made with.

    Attributes:
        url: with the driver in its scheme.
        connect_args: what its driver gets.
        engine: what SQLAlchemy gets.
        tests_idle: whether a connection is tested that was idle.
        may_write: false for a file of SQLite that the URL says is only read.
    """

    url: URL
    connect_args: dict[str, Any]
    engine: dict[str, Any]
    tests_idle: bool
    may_write: bool = True


def options_of(component: Component, *, connect_timeout: float | None = None) -> Options:
    """The options of a component.

    Args:
        component: its driver.
        connect_timeout: seconds, in the place of the option.

    Raises:
        ValueError: one of them is of no use. The message repeats no value, it may be a secret.
    """
    given = {str(key).lower(): value for key, value in component.opts.items()}
    url = _url(component, given)
    options = {**DEFAULTS, **given}
    del options["url"]
    options.pop("password", None)
    connect_args = options.pop("connect_args", None) or {}
    if not isinstance(connect_args, Mapping):
        raise ValueError("CONNECT_ARGS is not a dict of options for the driver of the database")
    seconds = _seconds("CONNECT_TIMEOUT", options.pop("connect_timeout")) or LONGEST
    statement = _seconds("STATEMENT_TIMEOUT", options.pop("statement_timeout"))
    tests_idle = options.pop("pool_pre_ping")
    if not isinstance(tests_idle, bool):
        raise ValueError("POOL_PRE_PING is neither true nor false")
    for name in ("pool_size", "max_overflow"):
        least = 0 if name == "pool_size" else -1
        if not isinstance(options[name], int) or isinstance(options[name], bool) or options[name] < least:
            raise ValueError(f"{name.upper()} is not a whole number from {least}")
    if options["pool_timeout"] != 0:  # not to wait at all
        options["pool_timeout"] = _seconds("POOL_TIMEOUT", options["pool_timeout"])
    is_read_only = url.get_backend_name() == "sqlite" and _is_read_only(url)
    if is_read_only:
        url = _as_uri(url)
    url, limits = _limits(url, connect_timeout or seconds, statement)
    if url.get_backend_name() == "sqlite" and not url.database:
        # SQLAlchemy has one connection for a database in memory.
        for name in ("pool_size", "max_overflow", "pool_timeout"):
            options.pop(name)
    return Options(url, {**limits, **dict(connect_args)}, options, tests_idle, may_write=not is_read_only)


def _url(component: Component, given: Mapping[str, Any]) -> URL:
    text = given.get("url")
    if not text:
        raise ValueError("OPTS has no URL")
    _, colon, rest = str(text).partition(":")
    try:
        url = make_url(f"{scheme_of(component)}{colon}{rest}")
    except (ArgumentError, ValueError):
        raise ValueError(
            "URL cannot be used: it is written postgresql://user@host:5432/database or sqlite:///path/to/file, and"
            " characters such as / ? # @ : % in a user name or password are percent-encoded"
        ) from None
    if url.port is not None and not 0 < url.port < 65_536:
        raise ValueError("URL has a port that is not from 1 to 65535")
    password = given.get("password")
    if password is not None and password != "":
        if not url.username:
            raise ValueError("PASSWORD needs a user in the URL")
        url = url.set(password=str(password))
    return url


def _is_read_only(url: URL) -> bool:
    return url.query.get("mode") == "ro" or url.query.get("immutable") in ("1", "true", "yes", "on")


def _as_uri(url: URL) -> URL:
    """As SQLite takes `mode` and `immutable`, which do not count with a path alone: the file would be written."""
    path = url.database or ""
    if not path.startswith("file:"):
        path = f"file:{quote(path)}"
    return url.set(database=path).update_query_dict({"uri": "true"})


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
        raise ValueError(f"{name} is neither null nor a number of seconds, from more than 0 to {LONGEST}")
    return float(value)


def _limits(url: URL, connect: float, statement: float | None) -> tuple[URL, dict[str, Any]]:
    """What the driver of a database takes as time limits; and the URL, without what it takes otherwise."""
    milliseconds = None if statement is None else str(max(1, int(1000 * statement)))
    if url.drivername == "postgresql+asyncpg":
        settings = {} if milliseconds is None else {"server_settings": {"statement_timeout": milliseconds}}
        url, tls = _tls_of_asyncpg(url)
        return url, {"timeout": connect, **settings, **tls}
    if url.drivername == "postgresql+psycopg":
        given = {} if milliseconds is None else {"options": f"-c statement_timeout={milliseconds}"}
        return url, {"connect_timeout": max(1, round(connect)), **given}
    if url.get_backend_name() == "sqlite":
        return url, {"timeout": connect}  # for which it waits where another connection writes
    return url, {}


def _tls_of_asyncpg(url: URL) -> tuple[URL, dict[str, Any]]:
    """The parameters `sslmode` and `sslrootcert` as asyncpg takes them: all others know them in a URL."""
    mode, roots = url.query.get("sslmode"), url.query.get("sslrootcert")
    url = url.difference_update_query(["sslmode", "sslrootcert"])
    if roots is not None and mode in ("verify-ca", "verify-full"):
        try:
            context = ssl.create_default_context(cafile=str(roots))
        except OSError as error:
            raise ValueError(f"the file of sslrootcert in the URL cannot be read: {error.strerror or error}") from None
        context.check_hostname = mode == "verify-full"
        return url, {"ssl": context}
    return url, {} if mode is None else {"ssl": mode}
