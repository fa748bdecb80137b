"""Who may read the console: everyone in development, and elsewhere those who have the scope of the page."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import Actor, Requires, is_development, is_own_host


@dataclass(frozen=True)
class Reader:
    """Who reads a page.

    Attributes:
        actor: who is known; None in development.
    """

    actor: Actor | None

    def can(self, scope: str) -> bool:
        """Whether they may see what requires the scope."""
        return self.actor is None or self.actor.can(scope)


async def reader_of(request: Request, scope: str) -> Reader:
    """Who asks for a page that requires `scope`.

    Raises:
        HTTPException: nobody is known (401, or the way to the page to sign in), or the scope is missing (403); in
            development, the host is a name that anyone's page may have pointed here (403).
    """
    if not is_development():
        return Reader(await Requires(scope).dependency(request))
    if not is_own_host(request.url.hostname or ""):
        raise HTTPException(
            403, "in development, the console answers to localhost, IP addresses, and the names in TRUSTED_HOSTS"
        )
    return Reader(None)
