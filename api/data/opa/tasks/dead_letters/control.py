"""Looks at the dead letters from any process, and sends them again or drops them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from opa._util.printable import in_one_line
from opa.core.threads import in_pool
from opa.errors import OpaError
from opa.tasks.application import TaskApplication, application_of
from opa.tasks.dead_letters.letters import DeadLetter, Held, LetterGoneError
from opa.tasks.dead_letters.reader import dead_letter_count, dead_letters
from opa.tasks.required import task_application

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

Result = TypeVar("Result")

WHAT = "the dead letters"
PAGE = 50
MOST = 20_000
"""Messages that are taken from RabbitMQ for one look at them."""


@dataclass(frozen=True)
class DeadLetterPage:
    """A part of the dead letters.

    Attributes:
        letters: the oldest first.
        total: how many there are in all.
    """

    letters: tuple[DeadLetter, ...]
    total: int


class DeadLetters:
    """The dead letters of a project, and a hand on them.

    RabbitMQ lends its messages to one reader at a time: who looks in the same moment, from another process, sees the
    others. It has to send all of them for each look, 10,000 in about a second; of more than 20,000 it sends some, and
    others the next time. Who changes something writes it into the audit log by themselves.

    Args:
        manager: of the application; its component with the driver `celery` says where the broker is.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        # Of the application: its requests do not take the messages from one another.
        self._lock: threading.Lock = manager.kept.setdefault(__name__, threading.Lock())

    async def count(self) -> int:
        """How many there are.

        Raises:
            OpaError: the broker does not answer, or keeps none.
        """
        return await self._in_thread(dead_letter_count)

    async def page(self, start: int = 0, limit: int = PAGE) -> DeadLetterPage:
        """Some of them, the oldest first.

        Args:
            start: how many are left out.
            limit: how many there may be.

        Raises:
            OpaError: the broker does not answer, or keeps none.
        """

        def read(app: TaskApplication) -> DeadLetterPage:
            total = dead_letter_count(app)
            if total <= start:
                return DeadLetterPage((), total)
            with dead_letters(app, start, MOST) as held:
                return DeadLetterPage(tuple(one.letter for one in islice(held, limit)), total)

        return await self._in_thread(read)

    async def get(self, letter_id: str) -> DeadLetter | None:
        """The oldest one of this id; None where there is none.

        Raises:
            OpaError: the broker does not answer, or keeps none.
        """

        def find(app: TaskApplication) -> DeadLetter | None:
            with dead_letters(app, most=MOST) as held:
                return next((one.letter for one in held if one.id == letter_id), None)

        return await self._in_thread(find)

    async def send_again(self, letter_id: str) -> DeadLetter:
        """Send the oldest one of this id to its queue again, with a new count of deliveries.

        Raises:
            OpaError: it is not there any more, no worker can read it, its queue is gone, or the broker does not
                take it.
        """

        def send(held: Held) -> None:
            if reason := why_it_stays(held):
                raise OpaError(in_one_line(f"{letter_id} stays, since {reason}"))

        letter = await self._settle(letter_id, send)
        if observers := application_of(self._manager).observers:
            observers.tell_sent_again(letter.id, letter.task, letter.queue)
        return letter

    async def drop(self, letter_id: str) -> DeadLetter:
        """Delete the oldest one of this id for good.

        Raises:
            OpaError: it is not there any more, or the broker does not answer.
        """
        return await self._settle(letter_id, lambda held: held.drop())

    async def _settle(self, letter_id: str, settle: Callable[[Held], None]) -> DeadLetter:
        def find(app: TaskApplication) -> DeadLetter:
            with dead_letters(app, most=MOST) as held:
                one = next((one for one in held if one.id == letter_id), None)
                if one is None:
                    raise LetterGoneError(letter_id)
                letter = one.letter
                settle(one)
                return letter

        return await self._in_thread(find)

    async def _in_thread(self, function: Callable[[TaskApplication], Result]) -> Result:
        def call() -> Result:
            with self._lock:
                return function(task_application(self._manager, WHAT))

        return await in_pool("dead-letters", call)


def why_it_stays(held: Held) -> str:
    """Put a letter into its queue again; empty where that was done.

    Raises:
        OpaError: it is not there any more, or the broker does not take it.
    """
    if held.letter.problem:
        return held.letter.problem
    return "" if held.send_again() else f"the queue '{held.letter.queue}' is gone; start a worker that takes from it"
