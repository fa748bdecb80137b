"""How many credentials this process has looked at, by their kind and how that ended: for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from opa.core.running import running_manager

Outcome = Literal["right", "wrong", "over", "waiting", "unavailable"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
MOST_KINDS = 100
"""That are told apart: an authenticator may take the kind of an actor from what a client has sent."""
OTHER = "other"


class Manager(Protocol):
    """What is needed of the plugin manager."""

    @property
    def kept(self) -> dict[str, Any]:
        """Holds what belongs to the application."""


def count_credential(manager: Manager, kind: str, outcome: Outcome) -> None:
    """Count a credential of a request.

    Args:
        manager: that of the application.
        kind: of the actor, or of the authenticator that it is for.
        outcome: what it was found to be.
    """
    kinds: dict[str, dict[Outcome, int]] = manager.kept.setdefault(__name__, {})
    counts = kinds.get(kind)
    if counts is None:
        kind = kind if len(kinds) < MOST_KINDS else OTHER
        counts = kinds.setdefault(kind, dict.fromkeys(OUTCOMES, 0))
    counts[outcome] += 1


def credential_counts() -> Mapping[tuple[str, Outcome], int]:
    """How many credentials this process has looked at since it started, by kind and outcome.

    A kind is `key`, `jwt`, `session`, `password`, `oidc`, or a word of a plugin. An outcome is `right`; `wrong`;
    `over`, of one that was right before, such as an expired one; `waiting`, of a wrong one that is answered 429; or
    `unavailable`, where it could not be checked. Of a kind that was seen, each outcome is there, as 0 at first.
    """
    manager: Any = running_manager()
    kinds: dict[str, dict[Outcome, int]] = manager.kept.get(__name__, {})
    # Copied first: metrics may be read in a thread.
    return {(kind, outcome): counts[outcome] for kind, counts in kinds.copy().items() for outcome in OUTCOMES}
