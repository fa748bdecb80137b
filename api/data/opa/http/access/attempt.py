"""Credentials that are wrong: noted, counted, and answered 429 after too many of them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from opa.access.address import address_of
from opa.access.attempts import attempts_of, wait_of
from opa.access.counts import count_credential
from opa.core.running import running_manager
from opa.errors import RefusedCredentialError
from opa.http.access.refusals import refusal
from opa.logging.refusal_log import refusals

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

LOGGED_EVERY = 60.0
"""Seconds between two lines of the log about an address."""
TOO_MANY = "too many wrong credentials"


async def refuse(connection: HTTPConnection, refused: RefusedCredentialError, by: str, kind: str) -> None:
    """A credential is wrong.

    Args:
        connection: the request that has it.
        refused: says why it is, and who it is for.
        by: what has found out, for the log.
        kind: of the credential, for metrics.

    Raises:
        HTTPException: 429, there were too many.
        RefusedHandshakeError: the same, of a websocket.
    """
    await _refuse(connection, refused, f"{by}: {refused}", kind, refused.subject)


def refuse_while_waiting(connection: HTTPConnection) -> None:
    """Whoever has to wait is not told that a credential is right.

    Raises:
        HTTPException: 429.
        RefusedHandshakeError: the same, of a websocket.
    """
    manager: Any = running_manager()
    _refuse_wait(connection, wait_of(manager, address_of(connection)))


@asynccontextmanager
async def attempt(
    request: HTTPConnection, subject: str, *, kind: str = "password", can_be_guessed: bool = True
) -> AsyncIterator[None]:
    """Check a credential in the block, such as the password of a user, and raise RefusedCredentialError if it is wrong.

    Args:
        request: has the credential.
        subject: who it is for, such as the name of the user, whether there is one or not.
        kind: what it is, in a word of yours, for metrics.
        can_be_guessed: whether people have chosen it. Then it counts as wrong until the block has ended, so that of
            many at once no more are checked than of one after another. What is random counts once it is wrong.

    Raises:
        HTTPException: 429, there were too many wrong ones of this address, or of it for this subject. The block does
            not run then.
        RefusedHandshakeError: the same, of a websocket.
    """
    checked = _counted_ahead if can_be_guessed else _counted_if_wrong
    async with checked(request, subject, kind):
        yield


@asynccontextmanager
async def _counted_ahead(request: HTTPConnection, subject: str, kind: str) -> AsyncIterator[None]:
    manager: Any = running_manager()
    attempts, address = attempts_of(manager), address_of(request)
    found = await attempts.wrong(address, subject)
    if found.wait:
        _note(address, "not looked at")
        count_credential(manager, kind, "waiting")
    _refuse_wait(request, found.wait)
    try:
        yield
    except RefusedCredentialError as refused:
        _note(address, str(refused))
        count_credential(manager, kind, "wrong")
        raise
    except Exception:
        await attempts.take_back(address, subject, found, is_right=False)
        raise
    count_credential(manager, kind, "right")
    await attempts.take_back(address, subject, found, is_right=True)


@asynccontextmanager
async def _counted_if_wrong(request: HTTPConnection, subject: str, kind: str) -> AsyncIterator[None]:
    manager: Any = running_manager()
    address = address_of(request)
    if wait := wait_of(manager, address):
        count_credential(manager, kind, "waiting")
        _refuse_wait(request, wait)
    try:
        yield
    except RefusedCredentialError as refused:
        await _refuse(request, refused, str(refused), kind, subject)
        raise
    count_credential(manager, kind, "right")


async def _refuse(
    connection: HTTPConnection, refused: RefusedCredentialError, detail: str, kind: str, subject: str
) -> None:
    address = address_of(connection)
    _note(address, detail)
    manager: Any = running_manager()
    if not refused.is_guess:
        count_credential(manager, kind, "over")
        return
    found = await attempts_of(manager).wrong(address, subject)
    count_credential(manager, kind, "waiting" if found.wait else "wrong")
    _refuse_wait(connection, found.wait)


def _note(address: str, detail: str) -> None:
    kind = f"wrong credentials from {address or 'an unknown address'}"
    refusals.note(kind, detail=detail, interval=LOGGED_EVERY, beyond="wrong credentials from further addresses")


def _refuse_wait(connection: HTTPConnection, wait: float) -> None:
    if wait > 0:
        answer = HTTPException(429, TOO_MANY, {"Retry-After": str(math.ceil(wait))})
        raise refusal(connection, answer)
