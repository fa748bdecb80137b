"""One request, and the limits that it is counted by: those of the settings, and those of its route."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opa._util.rates import Rate
from opa.http.rate_limits.callers import By, caller_of
from opa.http.rate_limits.headers import Told, too_many
from opa.http.rate_limits.window import Demand
from opa.http.request_facts import LIMITED
from opa.logging.refusal_log import refusals

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from opa.http.rate_limits.counter import Counter

KEY = LIMITED
"""Of the scope of a request, in which this stands."""


class Limiting:
    """What one request was counted by so far.

    Attributes:
        told: the limits, each with what is left of it.
    """

    __slots__ = ("_counter", "told")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.told: list[Told] = []

    async def take(self, connection: HTTPConnection, name: str, rates: Sequence[Rate], by: By) -> None:
        """Count the request.

        Args:
            connection: the request, or the handshake of a websocket.
            name: says what is limited; requests are counted apart for each.
            rates: all of them hold.
            by: whose requests are counted together.

        Raises:
            HTTPException: 429, there were too many.
            ComponentUnavailableError: they cannot be counted, and the settings want none to pass then.
        """
        caller = await caller_of(connection, by)
        if caller is None:
            return
        start = f"{self._counter.prefix}{name}:".encode(errors="backslashreplace")
        outcome = await self._counter.take([Demand(b"%b%d:%b" % (start, rate.seconds, caller), rate) for rate in rates])
        if outcome is None:
            return
        told = [Told(rate, state) for rate, state in zip(rates, outcome.states, strict=True)]
        self.told += told
        if not outcome.passes:
            refusals.note(f"requests beyond the rate limit {name} (429)")
            raise too_many(told)
