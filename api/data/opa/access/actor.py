"""Who is calling: a person, a program, or another service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from opa._util.words import kind_of
from opa.access.scopes import missing
from opa.context import current_context
from opa.errors import OpaError

MAX_ID_LENGTH = 512
MAX_KIND_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is calling.

    Attributes:
        id: says who it is, and stays the same: `key:deploy-bot`. It is in the log.
        kind: what made it known, in a word: `key`, `jwt`, `session`, or a word of the authenticator that does.
        scopes: what it may do.
        claims: what the authenticator knows besides. It is never logged.

    Raises:
        OpaError: `id` or `kind` is empty, too long or cannot be printed, or `scopes` is a text.
    """

    id: str
    kind: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse what would be misunderstood later."""
        for name, value, length in (("id", self.id, MAX_ID_LENGTH), ("kind", self.kind, MAX_KIND_LENGTH)):
            if not is_name(value, length):
                raise OpaError(
                    f"the {name} of an Actor is not a printable text of 1 to {length} characters",
                    hint=f"Give it an {name} that can stand in a line of the log",
                )
        # The characters of a text would count as scopes, a star among them.
        if isinstance(self.scopes, str | bytes | Mapping):
            raise OpaError(
                f"the scopes of an Actor are {kind_of(self.scopes)}", hint='Give them as a set: {"shop:write"}'
            )
        object.__setattr__(self, "scopes", frozenset(self.scopes))

    def can(self, *scopes: str) -> bool:
        """Whether it has all of `scopes`. `shop:*` among its own covers `shop:write`, and `*` covers everything."""
        return not missing(self.scopes, scopes)


def is_name(value: object, length: int) -> bool:
    """Whether `value` can be an id or a kind of at most `length` characters, in a line of the log and in a message."""
    return isinstance(value, str) and 0 < len(value) <= length and value.isprintable()


def get_actor() -> Actor | None:
    """Who sent the request that this code runs for; in a task, who sent the request that sent it.

    Returns:
        The actor that an authenticator found. None where nothing asked for one so far, because nothing requires it, and
        outside of requests. In a task it has its id and kind, and neither scopes nor claims.
    """
    return cast("Actor | None", current_context.get().actor)
