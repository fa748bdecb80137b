"""What code that uses a client for redis would otherwise write each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from opa.errors import ComponentUnavailableError


@contextmanager
def outages_of(component: str, about: str) -> Iterator[None]:
    """In the block, an error of redis is one of the component: a request is answered 503, and the message says why.

    Args:
        component: its name.
        about: what is asked for, such as `API keys`.

    Raises:
        ComponentUnavailableError: redis does not answer, or refuses.
    """
    try:
        yield
    except RedisError as error:
        raise ComponentUnavailableError(
            f"component '{component}' does not answer about {about} ({type(error).__name__}: {error})",
            component=component,
        ) from error


def text_of(value: str | bytes) -> str:
    """What a client gives as a text, with `decode_responses` among its options or without."""
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")
