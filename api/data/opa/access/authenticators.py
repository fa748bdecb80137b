"""The group `authenticators`: what finds out who is calling, in the order in which it is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Protocol

from opa.loading import conventions

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from opa.access.actor import Actor
    from opa.core.groups import Groups

GROUP = conventions.AUTHENTICATORS_GROUP.name


class Authenticator(Protocol):
    """A member of the group.

    It may have, besides: `security_scheme`, a `SecurityBase` of FastAPI, which is shown in the OpenAPI document;
    `challenge`, a text for the header `WWW-Authenticate`, such as `Bearer`; `sign_in_url(connection)`, which gives the
    page where a person signs in, or None; `may_be_unavailable`, whether it raises ComponentUnavailableError; and
    `kind`, that of its actors, by which credentials are counted that it refuses.
    """

    def __call__(self, connection: HTTPConnection, /) -> Awaitable[Actor | None]:
        """Who is calling; None where the request has no credential of its kind.

        Raises:
            RefusedCredentialError: it has one, and it is no good.
        """


def authenticators(groups: Groups) -> Mapping[str, Authenticator]:
    """Those of an application by URI, in the order in which they are asked."""
    return groups.get(GROUP)


def kind_of_credential(uri: str, authenticator: Authenticator) -> str:
    """What an authenticator looks at, in a word; its URI, where it does not say."""
    kind = getattr(authenticator, "kind", None)
    return kind if isinstance(kind, str) else uri
