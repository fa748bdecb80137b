"""The errors by which a redis says that it cannot do now what it is asked to, though it answers.

It is a replica since a failover, it has no memory or no disk left, it loads its data, a cluster has lost a part. Each
passes without a change of the program, as a lost connection does, and so all of opa-stack waits for it in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import DefaultParser as AsyncDefaultParser
from redis.connection import DefaultParser
from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError, ResponseError, TryAgainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    _Parser: Any = object
    _AsyncParser: Any = object
else:
    _Parser, _AsyncParser = DefaultParser, AsyncDefaultParser


class ServerStateError(ResponseError):
    """An answer for which redis-py has no class: `MISCONF`, `NOREPLICAS`, `UNBLOCKED` or `BUSY`."""

    def __init__(self, text: str, status_code: str | None = None) -> None:
        # The parser has cut the code off; without a class of its own the error would have it.
        super().__init__(f"{status_code} {text}" if status_code else text, status_code=status_code)


SERVER_STATES = (ServerStateError, ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
"""Besides `MasterDownError`, which is a `ClusterDownError`, and `BusyLoadingError`, which is a `ConnectionError`."""


def _with_states(known: Mapping[str, Any]) -> dict[str, Any]:
    return {**known, **dict.fromkeys(("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED"), ServerStateError)}


class StateParser(_Parser):  # type: ignore[misc]
    """A `parser_class` for connections whose errors are to be told apart by their class."""

    EXCEPTION_CLASSES = _with_states(DefaultParser.EXCEPTION_CLASSES)


class AsyncStateParser(_AsyncParser):  # type: ignore[misc]
    """The same for asynchronous connections."""

    EXCEPTION_CLASSES = _with_states(AsyncDefaultParser.EXCEPTION_CLASSES)
