"""What is recorded of a migration, in the component that it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

State = Literal["done", "failed", "running", "undoing"]
DONE: Final = "done"
FAILED: Final = "failed"
RUNNING: Final = "running"
UNDOING: Final = "undoing"
LONGEST_ERROR = 2000
"""Characters."""


@dataclass(frozen=True)
class Record:
    """What became of a migration.

    Attributes:
        state: `done`, `failed`, or `running`: of one that nobody runs any more, the process was killed;
            `undoing`: of one that is taken back, where that has failed or was killed.
        at: when that was, in ISO 8601.
        seconds: for which it ran.
        error: with which it failed.
    """

    state: State
    at: str
    seconds: float = 0.0
    error: str = ""

    def as_mapping(self) -> dict[str, Any]:
        """What a store keeps."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, kept: Mapping[str, Any]) -> Record:
        """What a store has kept; one that cannot be read counts as running, so that the user has to look at it."""
        state = kept.get("state")
        seconds = kept.get("seconds")
        return cls(
            state if state in (DONE, FAILED, UNDOING) else RUNNING,
            str(kept.get("at") or ""),
            float(seconds) if isinstance(seconds, int | float) else 0.0,
            str(kept.get("error") or ""),
        )


def now() -> str:
    """The time of a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")
