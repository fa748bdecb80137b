"""What a connection is doing: nothing has gone on where it is the same as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opa.http.body_limits import MIN_BYTES_PER_SECOND
from opa.serve.unread import read_steps, unread_bytes

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MIN_READ_BYTES_PER_SECOND = 240
"""What the slowest client reads of an answer, seen over IDLE_TIMEOUT."""

HEAD, BODY_NOBODY_WANTS, IDLE, REQUEST, ANSWER = "head", "body", "idle", "request", "answer"


class Doing(NamedTuple):
    """What a connection is doing.

    Attributes:
        name: one of those above.
        cycle: the request.
        unsent: whether there are bytes of an answer that the client has not read.
        read: how much it has read, in steps as well: a few bytes now and then would hold the answer, its memory and its
            place among the requests, for as long as one likes.
        progress: how much of its body has come, in steps: a byte now and then is none.
        is_whole: whether all of the body has.
    """

    name: str
    cycle: RequestResponseCycle | None
    unsent: bool
    read: int
    progress: int
    is_whole: bool


def measured(
    name: str,
    cycle: RequestResponseCycle | None,
    transport: asyncio.WriteTransport,
    *,
    body_bytes: int,
    idle_time: float,
) -> Doing:
    """How far it has got with that.

    Args:
        name: one of those above.
        cycle: the request that the application works on.
        transport: of the connection.
        body_bytes: of its requests, as many as have come.
        idle_time: IDLE_TIMEOUT, in seconds.
    """
    unread = unread_bytes(transport)
    step = max(MIN_READ_BYTES_PER_SECOND * idle_time, 1)
    return Doing(
        name,
        cycle,
        unsent=bool(unread),
        read=read_steps(transport, step, unread) if unread else 0,
        progress=body_bytes // MIN_BYTES_PER_SECOND if name == REQUEST else 0,
        is_whole=cycle is None or not cycle.more_body,
    )
