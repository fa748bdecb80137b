"""The clients, and the options that they are made with: all that takes motor and pymongo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient, ReadPreference
from pymongo.common import validate
from pymongo.errors import InvalidURI
from pymongo.uri_parser import parse_uri

from opa import Breaker
from opa.mongodb_clients import GuardedClient

DEFAULTS = {
    "serverselectiontimeoutms": 3000,
    # The client asks each server this often whether it is there, and takes it for gone where it does not answer within
    # both together; pymongo's own 10 and 20 seconds are how long a request would wait for a server that hangs.
    "connecttimeoutms": 2000,
    "heartbeatfrequencyms": 1000,
}
"""`OPTS` win over these, and parameters in the URL over both; but PASSWORD wins over a password in the URL."""

PROBE_OPTIONS: dict[str, Any] = {
    **dict.fromkeys(
        ("serverselectiontimeoutms", "connecttimeoutms", "sockettimeoutms"), int(1000 * Breaker.probe_timeout)
    ),
    "heartbeatfrequencyms": 500,
    "servermonitoringmode": "poll",
    "maxpoolsize": 1,
    "minpoolsize": 0,
}


class GuardedMotorClient(AsyncIOMotorClient[Any]):
    """An `AsyncIOMotorClient` that knows of a breaker."""

    __delegate_class__ = GuardedClient


def check(given: Mapping[str, Any]) -> None:
    """Check the options of a component.

    Raises:
        ConfigurationError: the client does not know one of them.
        TypeError: one has a value of the wrong type.
        ValueError: the same, or the URL is of no use; the message does not repeat it, for its password.
    """
    url, _ = arguments(given)
    if not urlsplit(url).scheme.endswith("+srv"):  # what that names is in the DNS
        with readable_url_errors():
            parse_uri(url, warn=False)


def ask(given: Mapping[str, Any]) -> None:
    """Ask whichever server answers, by a client of its own."""
    url, options = arguments(given)
    with MongoClient[Any](url, **options | PROBE_OPTIONS) as client:
        client.admin.command("ping", read_preference=ReadPreference.NEAREST)


def new_client(kind: type[Any], given: Mapping[str, Any], **bound: Any) -> Any:
    """A client that has not connected yet; `bound` are arguments that no option may change."""
    url, options = arguments(given)
    with readable_url_errors():
        return kind(url, **options, **bound)


def arguments(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The URL, and the options that do not stand in it: as an argument the client prefers them."""
    options = {key.lower(): value for key, value in given.items()}
    url = options.pop("url", None)
    if not url:
        raise ValueError("OPTS has no URL")
    with readable_url_errors():
        parts = urlsplit(url)
    password = options.pop("password", None)
    if password is not None and password != "":
        if not options.get("username") and "@" not in parts.netloc:
            raise ValueError("PASSWORD needs a user: in the URL, or as USERNAME")
        options["password"] = str(password)
    for key, value in options.items():
        validate(key, value)  # what it gives has seconds in the place of milliseconds, and the client divides again
    in_url = {name.lower() for name, _ in parse_qsl(parts.query)}
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
