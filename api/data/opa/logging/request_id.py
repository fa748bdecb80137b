"""The id of a request: it stands in each line of the log that is written while the request is handled."""

from __future__ import annotations

import os

from opa._util.patterns import lazy_pattern
from opa.context import current_context

HEADER = b"x-request-id"
MAX_LENGTH = 128

# What cannot break a line of a log, nor a header, nor be taken for anything but an id.
_FIT = lazy_pattern(rb"[\w.+/=:@-]{1,%d}" % MAX_LENGTH)

# New ids, made many at a time: to ask the system for each would take a hundredth of a small request.
_ids_cache: list[bytes] = []
_AT_A_TIME = 256
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids_cache.clear)  # noqa: TID251 - or else all workers would give the same ones


def get_request_id() -> str | None:
    """The id of the request that this code runs for; in a task, that of the request that has sent it.

    Returns:
        The header `X-Request-ID` of the request, or a new one where it has none that can be used. None outside of
        requests, and where the setting REQUEST_ID is false.
    """
    request_id = current_context.get().request_id
    return None if request_id is None else request_id.decode()


def is_request_id(text: object) -> bool:
    """Whether `text` can be the id of a request: one that can do no harm."""
    return isinstance(text, str) and text.isascii() and _FIT.fullmatch(text.encode()) is not None


def request_id_of(given: bytes | None) -> bytes:
    """The id that a request gives itself; a new one where it gives none, or one with which a client could do harm."""
    if given is not None and _FIT.fullmatch(given):
        return given
    try:
        return _ids_cache.pop()
    except IndexError:
        digits = os.urandom(8 * _AT_A_TIME).hex().encode()
        _ids_cache.extend(digits[start : start + 16] for start in range(16, len(digits), 16))
        return digits[:16]
