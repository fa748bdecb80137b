"""What a route needs more of than the settings allow, or less; it says so itself."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from opa.errors import OpaError

T = TypeVar("T")

_ATTRIBUTE = "__opa_limits__"


class AsSet:
    """Stands for what a route does not say: the settings do."""

    def __repr__(self) -> str:
        return "as set"


AS_SET: Final = AsSet()
Limit = float | AsSet | None


class Limits(NamedTuple):
    """What a route says of its requests; None is no limit.

    Attributes:
        body_bytes: instead of the settings MAX_BODY_BYTES and MAX_UPLOAD_BYTES.
        body_time: instead of BODY_TIMEOUT.
        time: instead of REQUEST_TIMEOUT.
    """

    body_bytes: Limit = AS_SET
    body_time: Limit = AS_SET
    time: Limit = AS_SET


NOTHING_SAID = Limits()


def limits(*, body_bytes: Limit = AS_SET, body_time: Limit = AS_SET, time: Limit = AS_SET) -> Callable[[T], T]:
    """Give a route limits of its own, in place of those of the settings. What is not named stays as it is set.

    Args:
        body_bytes: bytes that a body may have, also a form with files; None is any number.
        body_time: seconds that a body may take to arrive, and one more for each 10,000 bytes of it; None is forever.
        time: seconds until the answer begins; None is forever.

    Returns:
        A decorator for the function, or the class, that is the route's endpoint.

    Raises:
        OpaError: a limit is no positive number.
    """
    named = {"body_bytes": body_bytes, "body_time": body_time, "time": time}
    for name, value in named.items():
        if value is not None and not isinstance(value, AsSet) and not _is_positive(value):
            raise OpaError(
                f"limits({name}={value!r}) is not a limit",
                hint="Give a number above 0, or None for no limit",
            )

    def decorate(endpoint: T) -> T:
        # The function of a method: a bound one takes no attributes.
        setattr(getattr(endpoint, "__func__", endpoint), _ATTRIBUTE, Limits(**named))
        return endpoint

    return decorate


def limits_of(endpoint: Any) -> Limits:
    """What the endpoint of a route says."""
    while isinstance(endpoint, functools.partial) and not hasattr(endpoint, _ATTRIBUTE):
        endpoint = endpoint.func
    found = getattr(endpoint, _ATTRIBUTE, NOTHING_SAID)
    return found if isinstance(found, Limits) else NOTHING_SAID


def chosen(said: Limit, default: float | None) -> float:
    """The limit that applies; infinity where there is none."""
    value = default if isinstance(said, AsSet) else said
    return math.inf if value is None else value


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
