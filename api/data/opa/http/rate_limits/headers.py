"""What a client is told of the limits: the headers RateLimit and RateLimit-Policy, and the answer 429.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ as of draft 11
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from starlette.exceptions import HTTPException

from opa._util.rates import Rate
from opa.http.rate_limits.window import State

POLICY = b"ratelimit-policy"
REMAINING = b"ratelimit"
STATUS = 429


class Told(NamedTuple):
    """A limit that a request was counted by, and what is left of it."""

    rate: Rate
    state: State


def headers_of(limits: Sequence[Told]) -> list[tuple[bytes, bytes]]:
    """The headers for all limits of a request."""
    counts: dict[str, int] = {}
    policies, left = [], []
    for rate, state in limits:
        name = str(rate)
        count = counts[name] = counts.get(name, 0) + 1
        if count > 1:  # a name tells them apart
            name = f"{name} #{count}"
        policies.append(f'"{name}";q={rate.amount};w={rate.seconds}')
        left.append(f'"{name}";r={state.remaining};t={math.ceil(state.seconds)}')
    return [(POLICY, ", ".join(policies).encode()), (REMAINING, ", ".join(left).encode())]


def too_many(limits: Sequence[Told]) -> HTTPException:
    """429, for the limits of a request that was refused by one of them at least."""
    used_up = [limit for limit in limits if limit.state.remaining == 0] or limits
    seconds = max(1, *(math.ceil(limit.state.seconds) for limit in used_up))
    rates = " and ".join(str(limit.rate) for limit in used_up)
    return HTTPException(STATUS, f"too many requests: {rates} allowed", {"Retry-After": str(seconds)})
