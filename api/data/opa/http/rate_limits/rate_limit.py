"""Routes that a caller may ask so often and no more: `dependencies=[RateLimit("100/minute")]`."""

from __future__ import annotations

import sys
from typing import Any

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from opa._util.rates import rates_in
from opa.current import current
from opa.errors import NotRunningError, OpaError
from opa.http.access.refusals import refusal
from opa.http.rate_limits.callers import KINDS, By
from opa.http.rate_limits.limiting import KEY, Limiting


def RateLimit(limit: str, *, by: By = "actor", name: str | None = None) -> Any:  # noqa: N802 - it stands where FastAPI's Depends stands
    """A dependency that lets each caller pass so often, and answers 429 to what is more.

    Use it in `dependencies` of a route or a router: `dependencies=[RateLimit("100/minute")]`. All routes that have the
    same one share its count; of a websocket, handshakes are counted.

    Args:
        limit: such as `100/minute`, `10/5 minutes` or `5/second; 1000/day`; units are second, minute, hour and day.
        by: whose requests are counted together: those of an `actor` (of an address, where nobody is known), of an
            `address`, all of a `plugin`, all of a `route`, or those for which a function of the request gives the same
            text; those for which it gives None are not counted.
        name: says what is limited. Those with one name share a count. By default it is where this stands in the code.

    Raises:
        OpaError: the limit, or `by`, is none.
    """
    place = sys._getframe(1)
    where = f"{place.f_code.co_filename}:{place.f_lineno}"
    try:
        rates = rates_in(limit)
    except ValueError as error:
        raise OpaError(f"RateLimit({limit!r}): the limit {error}", where=where) from None
    if not callable(by) and by not in KINDS:
        hint = f"Name {', '.join(KINDS)}, or give a function of the request"
        raise OpaError(f"RateLimit({limit!r}) has by={by!r}", where=where, hint=hint)
    line = f"{place.f_globals.get('__name__')}:{place.f_lineno}"
    number = current.rate_limits[line] = current.rate_limits.get(line, 0) + 1
    # In a loop, or a function that makes routes, several stand in one line.
    return Depends(RouteLimit(rates, by, name or (line if number == 1 else f"{line}#{number}")))


class RouteLimit:
    """The dependency behind `RateLimit(…)`."""

    def __init__(self, rates: Any, by: By, name: str) -> None:
        self.rates = rates
        self.by = by
        self.name = name

    async def __call__(self, connection: HTTPConnection) -> None:
        """Count the request.

        Raises:
            HTTPException: 429, there were too many.
            RefusedHandshakeError: the same, of a websocket.
            NotRunningError: no application counts.
        """
        limiting: Limiting | None = connection.scope.get(KEY)
        if limiting is None:
            raise NotRunningError(
                f"the rate limit {self.name} is of no application of opa-stack, or was made after that had started",
                hint="Make it in a plugin, at the top of a module or in a Setup",
            )
        try:
            await limiting.take(connection, self.name, self.rates, self.by)
        except HTTPException as answer:
            raise refusal(connection, answer) from None
