"""What runs a migration and records it, in the component that it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from opa import OpaError, mask_text
from opa.plugins.migrations.files import Migration, line_of
from opa.plugins.migrations.records import DONE, FAILED, LONGEST_ERROR, RUNNING, UNDOING, Record, State, now

Direction = Literal["upgrade", "downgrade"]


@dataclass(frozen=True)
class Job:
    """A migration that is to be run.

    Attributes:
        migration: it.
        direction: which of its functions.
        may_repeat: whether one that has failed, or was killed, and may have done a part, is run again.
        is_mark: whether it is only noted as done.
        tell: told what it waits for.
        note_other: called with whether another process runs one now, for which it waits, as often as that changes.
    """

    migration: Migration
    direction: Direction = "upgrade"
    may_repeat: bool = True
    is_mark: bool = False
    tell: Callable[[str], None] = print
    note_other: Callable[[bool], object] = bool

    def is_due(self, record: Record | None) -> bool:
        """Whether it is still to be run, where this is what is recorded of it."""
        state = None if record is None else record.state
        return state in (DONE, UNDOING) if self.direction == "downgrade" else state != DONE

    def begun(self) -> Record:
        """What is recorded before it begins, where it may do a part."""
        return Record(RUNNING if self.direction == "upgrade" else UNDOING, now())

    def failed(self, seconds: float, error: BaseException) -> Record:
        """What is recorded where it has failed, and may have done a part."""
        state: State = FAILED if self.direction == "upgrade" else UNDOING
        return Record(state, now(), seconds, words_of(error))


class Turn:
    """Tells once that a job waits for another process, and when it does not any more.

    Args:
        job: it.
        until: when the other one is gone at the latest, if it was killed; empty where that is at once.
    """

    def __init__(self, job: Job, until: str = "") -> None:
        self._job = job
        self._until = until
        self._waits = False

    def wait(self) -> None:
        """Called as often as another process is found to run one."""
        if not self._waits:
            self._job.tell(f"{self._job.migration}: waiting for another process, which runs a migration{self._until}")
            self._waits = True
            self._job.note_other(True)

    def begin(self) -> None:
        """Called when none does."""
        if self._waits:
            self._job.note_other(False)


class Ledger(Protocol):
    """Of one component."""

    async def records(self) -> Mapping[tuple[str, str], Record]:
        """What is recorded, by plugin and name of the migration."""

    async def run(self, job: Job) -> float | None:
        """Run a migration, unless another process has done it meanwhile, and record it.

        Returns:
            The seconds that it took; None where there was nothing to do.

        Raises:
            OpaError: it failed.
        """


def words_of(error: BaseException) -> str:
    """What is recorded of an error, and told."""
    text = " ".join(mask_text(f"{type(error).__name__}: {error}").split())
    return text[:LONGEST_ERROR]


def failure(job: Job, error: BaseException, state: str) -> OpaError:
    """What is raised where a migration has failed.

    Args:
        job: the one that failed.
        error: with which.
        state: what is left of it, as a sentence.
    """
    what = "run" if job.direction == "upgrade" else "be taken back"
    command = "opa migrate" if job.direction == "upgrade" else "opa migrate downgrade"
    return OpaError(
        f"the migration {job.migration} could not {what}: {words_of(error)}",
        where=line_of(job.migration, error),
        hint=f"{state}, and none behind it was run. Fix it, and run {command} again: it goes on with this one",
    )


def refuse_repetition(job: Job, record: Record | None) -> None:
    """See that what may have done a part of its work is run again only on request of a user.

    Raises:
        OpaError: it is to be looked at first.
    """
    if record is None or record.state == DONE or job.may_repeat:
        return
    what = f"has failed: {record.error}" if record.error else "was interrupted, and may have done a part"
    raise OpaError(
        f"the migration {job.migration} {what}",
        where=str(job.migration.file),
        hint="See what it has done, and run opa migrate, which runs it again",
    )
