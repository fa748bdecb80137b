"""Who visits the admin, and what they may do: by the scopes of whoever is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import Actor, Requires, is_own_host
from opa.admin import AdminPage

Action = Literal["read", "create", "edit", "delete"]
DEVELOPER: Final = "development"
"""Who does something where nobody can sign in."""


@dataclass(frozen=True)
class Visitor:
    """Who sends a request.

    Attributes:
        actor: who is signed in; None in development, where nobody can.
    """

    actor: Actor | None

    @property
    def name(self) -> str:
        """In the audit log."""
        return DEVELOPER if self.actor is None else self.actor.id

    def can(self, action: Action, name: str) -> bool:
        """Whether they may do it in the panel of that name."""
        if self.actor is None:
            return True
        return self.actor.can(f"admin:{action}") or self.actor.can(f"admin:{name}:{action}")

    def can_see(self, page: AdminPage) -> bool:
        """Whether they may see a page."""
        if page.scope:
            return self.actor is None or self.actor.can(page.scope)
        return self.can("read", page.name)


_NOBODY = Visitor(Actor(id="nobody", kind="nobody"))


async def visitor_of(request: Request, *, can_sign_in: bool) -> Visitor:
    """Who sends the request.

    Raises:
        HTTPException: nobody is known (401, or the way to the page to sign in); where nobody can sign in, the host is a
            name that anyone's page may have pointed here (403).
    """
    if can_sign_in:
        return Visitor(await Requires().dependency(request))
    if not is_own_host(request.url.hostname or ""):
        raise HTTPException(
            403, "in development, the admin answers to localhost, IP addresses, and the names in TRUSTED_HOSTS"
        )
    return Visitor(None)


def current_visitor(request: Request) -> Visitor:
    """Who sends a request that has come this far; for a file that everyone may have, a visitor who may do nothing."""
    visitor: Visitor = getattr(request.state, "opa_visitor", _NOBODY)
    return visitor
