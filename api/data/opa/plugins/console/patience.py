"""Asks a server that may take long: a page waits for a moment, and has the answer when it is made the next time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Any, TypeVar

from opa import get_plugin_manager

Answer = TypeVar("Answer")

WAIT = 0.2
"""Seconds that a page waits, for all that it asks."""
MOST = 50
"""Answers that are kept."""


class NotYetError(Exception):
    """There is no answer so far."""


class Patience:
    """What was asked in this process, and the answers."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, tuple[asyncio.Task[Any], float]] = {}
        self._answers: dict[Hashable, Any] = {}

    async def ask(
        self, key: Hashable, make: Callable[[], Awaitable[Answer]], *, life: float, until: float | None = None
    ) -> Answer:
        """What `make` gives, or has given before.

        Args:
            key: of the question; of those that ask it at once, one asks the server.
            make: asks.
            life: seconds for which an answer is good; an older one is given while another one is waited for.
            until: when to wait no longer, by the clock of `deadline`.

        Raises:
            NotYetError: there is none so far.
            Exception: that of `make`.
        """
        task, since = self._asked.get(key, (None, 0.0))
        # A loop that is over, as in tests, answers nothing any more.
        if task is None or task.get_loop() is not asyncio.get_running_loop() or _is_old(task, since, life):
            task = asyncio.ensure_future(_called(make))
            task.add_done_callback(_look_at_error)
            self._asked.pop(key, None)
            self._asked[key] = task, monotonic()
            self._make_room()
        if not task.done():
            await asyncio.wait([task], timeout=max(0.0, (until or deadline()) - monotonic()))
        if task.done():
            answer = self._answers[key] = task.result()
            return answer  # type: ignore[no-any-return]  # it is that of `make`
        if key in self._answers:
            return self._answers[key]  # type: ignore[no-any-return]
        raise NotYetError

    def forget(self) -> None:
        """Something was changed: nothing that is known holds any more."""
        self._asked.clear()
        self._answers.clear()

    def _make_room(self) -> None:
        while len(self._asked) > MOST:
            self._asked.pop(next(iter(self._asked)))
        for key in [key for key in self._answers if key not in self._asked]:
            del self._answers[key]


def deadline() -> float:
    """When a page that is made now waits no longer."""
    return monotonic() + WAIT


def patience() -> Patience:
    """That of this application."""
    found: Patience = get_plugin_manager().kept.setdefault(__name__, Patience())
    return found


def _is_old(task: asyncio.Task[Any], since: float, life: float) -> bool:
    return task.done() and (monotonic() - since > life or task.cancelled())


async def _called(make: Callable[[], Awaitable[Answer]]) -> Answer:
    return await make()


def _look_at_error(task: asyncio.Task[Any]) -> None:
    """Who asks has it; nobody may ask again."""
    if not task.cancelled():
        task.exception()
