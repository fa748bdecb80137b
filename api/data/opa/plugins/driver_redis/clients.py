"""The clients, and the options that they are made with: all that takes redis-py and walrus."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import walrus
from redis import asyncio as aioredis
from redis.connection import URL_QUERY_ARGUMENT_PARSERS
from redis.exceptions import ConnectionError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from opa.redis_clients import AsyncStateParser, GuardedAsyncPool, GuardedPool, StateParser, with_certificate_check

DEFAULTS: dict[str, Any] = {
    # Seconds.
    "socket_connect_timeout": 3,
    "socket_timeout": 3,
    # How long to wait for one of `max_connections` when all are in use.
    "timeout": 5,
    "max_connections": 100,
    # Redis Enterprise alone knows them; any other server is asked for nothing, on each connection.
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}
"""`OPTS` win over these, and parameters in the URL over both; but PASSWORD wins over a password in the URL."""


def blocking_time(command: tuple[Any, ...]) -> float | None:
    """How many seconds the server may hold back its answer to `command`; None if it answers at once."""
    match command:
        case (("BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE" | "BZPOPMIN" | "BZPOPMAX"), *_, seconds):
            limit = float(seconds)
        case (("BLMPOP" | "BZMPOP"), seconds, *_):
            limit = float(seconds)
        case (("XREAD" | "XREADGROUP"), *words) if b"BLOCK" in words:
            limit = float(words[words.index(b"BLOCK") + 1]) / 1000
        case _:
            return None
    return limit or math.inf


def with_blocking_time(command: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """`options` for `execute_command`, which hands them on to `parse_response`."""
    limit = blocking_time(command)
    return options if limit is None else options | {"blocking_time": limit}


def same(answer: Any) -> Any:
    """The callback for answers that need none."""
    return answer


# A read gives up after `socket_timeout`, also when the command asked the server to hold its answer back for
# longer: `blpop(key, 30)`, or a walrus lock that someone else holds (redis-py issue 2807). These two classes
# let such a command wait for as long as it asked.
class PatientRedis(aioredis.Redis):
    """A `redis.asyncio.Redis` whose blocking commands may take longer than `socket_timeout`."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and give its answer."""
        return await super().execute_command(*args, **with_blocking_time(args, options))  # type: ignore[no-untyped-call]

    async def parse_response(self, connection: Any, command_name: str | bytes, **options: Any) -> Any:
        """Read the answer to a command."""
        limit = options.pop("blocking_time", None)
        if limit is None:
            return await super().parse_response(connection, command_name, **options)
        answer = await connection.read_response(timeout=limit + (connection.socket_timeout or math.inf))
        return self.response_callbacks.get(command_name, same)(answer)


class PatientDatabase(walrus.Database):  # type: ignore[misc]  # walrus has no types
    """A `walrus.Database` whose blocking commands may take longer than `socket_timeout`."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and give its answer."""
        return super().execute_command(*args, **with_blocking_time(args, options))

    def parse_response(self, connection: Any, command_name: str | bytes, **options: Any) -> Any:
        """Read the answer to a command."""
        limit = options.pop("blocking_time", None)
        if limit is None:
            return super().parse_response(connection, command_name, **options)
        seconds = limit + (connection.socket_timeout or math.inf)
        answer = connection.read_response(timeout=None if seconds == math.inf else seconds)
        return self.response_callbacks.get(command_name, same)(answer)


# A connection of the pool may have died without a word: its server's machine is gone, or a firewall has forgotten it.
# It looks sound until it is used, and then the command fails; to send that once more is not safe, since it may have
# been carried out. So a connection that has rested is asked for an answer before it gets a command. What is under way
# when a connection is lost still fails. The `health_check_interval` of redis-py asks too, but reconnects only where
# its `retry` sends commands once more as well; and it takes a user who may not ping for a server that does not answer.
IDLE_CHECK_AFTER = 1.0
"""Seconds without a command, after which a connection is asked."""


class Rests:
    """When the connections of a pool were last used."""

    def __init__(self) -> None:
        self._last_use: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def begin(self, connection: Any) -> None:
        """It is back in the pool."""
        self._last_use[connection] = time.monotonic()

    def has_rested(self, connection: Any) -> bool:
        """Whether it was used before, and not for a while."""
        last_use = self._last_use.get(connection)
        return last_use is not None and time.monotonic() - last_use >= IDLE_CHECK_AFTER


class AsyncPool(GuardedAsyncPool):
    """A pool that waits for a connection where all are in use, and gives none that died while it rested."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._rests = Rests()

    async def ensure_connection(self, connection: Any) -> None:
        """Called with a connection before it gets a command."""
        await super().ensure_connection(connection)
        if self._rests.has_rested(connection):
            try:
                await connection.send_command("PING", check_health=False)
                await connection.read_response()
            except ResponseError:
                return  # it may not ping, but it is alive
            except ConnectionError:
                await connection.disconnect(nowait=True)
                await connection.connect()

    async def release(self, connection: Any) -> None:
        """Put a connection back."""
        self._rests.begin(connection)
        await super().release(connection)


class Pool(GuardedPool):
    """The same for synchronous clients."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._rests = Rests()

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Take a connection out."""
        connection = super().get_connection(*args, **options)
        if self._rests.has_rested(connection):
            try:
                self._ask(connection)
            except BaseException:
                self.release(connection)
                raise
        return connection

    def _ask(self, connection: Any) -> None:
        try:
            connection.send_command("PING", check_health=False)
            connection.read_response()
        except ResponseError:
            return
        except ConnectionError:
            connection.disconnect()
            connection.connect()

    def release(self, connection: Any) -> None:
        """Put a connection back."""
        self._rests.begin(connection)
        super().release(connection)


def new_client(given: Mapping[str, Any], *, is_async: bool) -> Any:
    """A client that has not connected yet.

    Args:
        given: the options of the component.
        is_async: whether it is for an event loop.
    """
    if is_async:
        return PatientRedis.from_pool(new_pool(given, AsyncPool, AsyncStateParser))
    return PatientDatabase.from_pool(new_pool(given, Pool, StateParser))


def new_pool(given: Mapping[str, Any], pool_class: Any, parser_class: Any) -> Any:
    """A pool without connections."""
    options = {key.lower(): value for key, value in given.items()}
    url, password = options.pop("url", None), options.pop("password", None)
    if not url:
        raise ValueError("OPTS has no URL")
    url = with_certificate_check(url)
    options = {key: parsed_option(key, value) for key, value in options.items()}
    try:
        pool = pool_class.from_url(url, **DEFAULTS | {"parser_class": parser_class} | options)
    except ValueError:
        raise ValueError(
            "URL cannot be used: it starts with redis://, rediss:// or unix://, its port and parameters have the "
            "right type, and / ? # @ in a password are percent-encoded"
        ) from None
    if password is not None and password != "":
        pool.connection_kwargs["password"] = str(password)
    return pool


def parsed_option(name: str, value: Any) -> Any:
    """An option as the client wants it, which is as it would read the same parameter in a URL."""
    parse: Callable[[Any], Any] | None = URL_QUERY_ARGUMENT_PARSERS.get(name)  # type: ignore[assignment]
    if parse is None or value is None:
        return value
    try:
        return parse(value)
    except (TypeError, ValueError):
        raise ValueError(f"option {name.upper()} of the Redis client has a value of the wrong type") from None
