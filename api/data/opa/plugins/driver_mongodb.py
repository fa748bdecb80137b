"""Drivers for MongoDB: `mongodb-async-motor`, `mongodb-async-pymongo` and synchronous `mongodb-pymongo`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, MongoClient
from pymongo.common import validate
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure
from pymongo.uri_parser import parse_uri

from opa import Driver

DEFAULTS = {"serverselectiontimeoutms": 3000, "connecttimeoutms": 3000}
"""`OPTS` win over these, and parameters in the URL over both."""


class _MongodbDriver(Driver):
    """What the drivers have in common."""

    client_class: ClassVar[Any]

    connection_errors = (ConnectionFailure,)
    permanent_errors = (ConfigurationError, OperationFailure, TypeError, ValueError)

    def prepare(self) -> None:
        """Check the options.

        Raises:
            ConfigurationError: the client does not know one of them.
            TypeError: one has a value of the wrong type.
            ValueError: the same, or the URL is of no use; the message does not repeat it, for its password.
        """
        url, _ = self.arguments()
        if not urlsplit(url).scheme.endswith("+srv"):  # what that names is in the DNS
            with readable_url_errors():
                parse_uri(url, warn=False)

    def new_client(self, **bound: Any) -> Any:
        """A client that has not connected yet; `bound` are arguments that no option may change."""
        url, options = self.arguments()
        with readable_url_errors():
            return self.client_class(url, **options, **bound)

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """The URL, and the options that do not stand in it: as an argument the client prefers them."""
        options = {key.lower(): value for key, value in self.opts.items()}
        url = options.pop("url", None)
        if not url:
            raise ValueError("OPTS has no URL")
        options = dict(validate(key, value) for key, value in options.items())
        in_url = {name.lower() for name, _ in parse_qsl(urlsplit(url).query)}
        return url, {key: value for key, value in (DEFAULTS | options).items() if key not in in_url}


@contextmanager
def readable_url_errors() -> Iterator[None]:
    """Turn what pymongo raises for a URL into a line that does not repeat parts of it, which may be of a password."""
    try:
        yield
    except (InvalidURI, ValueError):
        raise ValueError(
            "URL cannot be used: it starts with mongodb:// or mongodb+srv://, its port and parameters have the right "
            "type, and / ? # @ : % in a user name or password are percent-encoded"
        ) from None


class MongodbMotorAsync(_MongodbDriver):
    """Gives an `AsyncIOMotorClient` of motor."""

    name = "mongodb-async-motor"
    client_class = AsyncIOMotorClient

    async def connect(self) -> None:
        self.instance = self.new_client(io_loop=asyncio.get_running_loop())

    async def validate(self) -> None:
        await self.instance.admin.command("ping")

    async def disconnect(self) -> None:
        if self.instance is not None:
            self.instance.close()


class MongodbPymongoAsync(_MongodbDriver):
    """Gives an `AsyncMongoClient` of pymongo."""

    name = "mongodb-async-pymongo"
    client_class = AsyncMongoClient

    async def connect(self) -> None:
        self.instance = self.new_client()

    async def validate(self) -> None:
        await self.instance.admin.command("ping")

    async def disconnect(self) -> None:
        if self.instance is not None:
            await self.instance.close()


class MongodbPymongo(_MongodbDriver):
    """Gives a `MongoClient` of pymongo."""

    name = "mongodb-pymongo"
    client_class = MongoClient

    def connect(self) -> None:
        self.instance = self.new_client()

    def validate(self) -> None:
        self.instance.admin.command("ping")

    def disconnect(self) -> None:
        if self.instance is not None:
            self.instance.close()
