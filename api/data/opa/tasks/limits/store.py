"""What redis keeps of limits: one call for each question."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from opa.errors import RegistrationError
from opa.redis_clients import text_of
from opa.tasks.limits import scripts
from opa.tasks.limits.task_limits import Gate, Pace

if TYPE_CHECKING:
    from opa.core.drivers import Driver
    from opa.core.manager import PluginManager

COMPONENT = "aioredis"
"""The component in whose redis it is."""
LOCK = 1
"""Where the text stands in what a run holds."""


class Called(NamedTuple):
    """One whose turn has come.

    Attributes:
        ticket: its place in the line, which its message is to say.
        message: its message, as it was given to `enter`.
    """

    ticket: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run that would begin.

    Attributes:
        what: `run`; `wait` for a place, and `later` for the rate; `held` where another process has it in its hands, or
            had; `done` where it has ended already; `dead` where it was begun too often.
        ticket: its place in the line.
        seconds: until it should ask again; 0 where that cannot be told.
        has_waited: whether copies of its message may be on their way.
        called: those whose turn has come meanwhile.
    """

    what: Literal["run", "wait", "later", "held", "done", "dead"]
    ticket: str
    seconds: float
    has_waited: bool
    called: list[Called]


class Hold(NamedTuple):
    """What a run holds, as redis has it; empty texts where it has nothing."""

    holder: str
    what: str


class LimitStore:
    """The limits of a project.

    Args:
        client: a `redis.Redis`.
        project: its name, since several may share one redis.
    """

    def __init__(self, client: Any, project: str) -> None:
        self.client = client
        self.prefix = f"opa:{project}:limits:"
        self._claim, self._keep, self._enter, self._leave, self._renew, self._sweep = map(
            client.register_script,
            (scripts.CLAIM, scripts.KEEP, scripts.ENTER, scripts.LEAVE, scripts.RENEW, scripts.SWEEP),
        )

    def claim(self, lock: str, task_id: str, seconds: float) -> str:
        """Take a text for a task that is to be sent; gives the id of the task that has it, which may be another."""
        return text_of(self._call(self._claim, [lock, task_id, _milliseconds(seconds)]))

    def keep(self, lock: str, task_id: str, seconds: float) -> None:
        """Keep a text for so long; 0 gives it back. Nothing where another task has it."""
        self._call(self._keep, [lock, task_id, _milliseconds(seconds)])

    def enter(
        self,
        run: str,
        holder: str,
        *,
        task_id: str,
        ticket: str,
        message: str,
        lock: str,
        lock_life: float,
        most_tries: int,
        is_fresh: bool,
        gates: Sequence[Gate],
        pace: Pace | None,
    ) -> Verdict:
        """Ask whether a run may begin, and note that it does.

        Args:
            run: one try of a task.
            holder: who asks.
            task_id: of the task.
            ticket: what an earlier answer has said; empty at first.
            message: kept while it waits; empty where it is too large for that.
            lock: the text that it holds while it runs, unless another task does; empty for none.
            lock_life: seconds that it holds this without a sign of life.
            most_tries: how often it may begin without an end.
            is_fresh: whether its message is as it was sent at first: then what was before does not count.
            gates: all that it has to pass.
            pace: what it has to keep.
        """
        amount, window = (pace.rate.amount, pace.rate.seconds * 1000) if pace else (0, 0)
        passed = [part for gate in gates for part in (gate.name, gate.limit)]
        name = pace.name if pace else ""
        args: list[Any] = [run, holder, ticket, message, lock, task_id, _milliseconds(lock_life), name, amount, window]
        args += [most_tries, int(is_fresh), *passed]
        what, its_ticket, number, *called = self._call(self._enter, args)
        verdict: Any = text_of(what)
        is_run = verdict == "run"
        return Verdict(
            verdict,
            text_of(its_ticket),
            0 if is_run else max(0, int(number)) / 1000,
            is_run and bool(number),
            _called(called),
        )

    def leave(
        self, run: str, holder: str, *, task_id: str, is_done: bool | None, has_ended: bool, lock: str = ""
    ) -> list[Called]:
        """Note that a run no longer runs; gives those whose turn has come.

        Args:
            run: one try of a task.
            holder: how the one begins that has it in its hands.
            task_id: of the task.
            is_done: whether copies of its message may come, which are not to run; None where it is to run again.
            has_ended: whether that was the end of the task, and no other try follows.
            lock: the text that the task holds, where the run holds nothing that says so.
        """
        args = [run, holder, "" if is_done is None else int(is_done), int(has_ended), lock, task_id]
        return _called(self._call(self._leave, args))

    def renew(self, holder: str, runs: Iterable[tuple[str, Hold | None]]) -> dict[str, Hold]:
        """Note that runs go on; what they hold is written anew where redis has lost it.

        Args:
            holder: how those begin that have them in their hands.
            runs: each with what it was known to hold.
        """
        known = list(runs)
        if not known:
            return {}
        parts = [part for run, hold in known for part in (run, *(hold or Hold("", "")))]
        found = iter(map(text_of, self._call(self._renew, [holder, *parts])))
        return {run: Hold(next(found), next(found)) for run, _ in known}

    def sweep(self, cursor: str, seconds: float) -> tuple[str, list[Called]]:
        """Call those whose turn has come because a worker was killed.

        Args:
            cursor: `0` to begin with, and then what the answer says, until that is `0`.
            seconds: in which no other process begins to look.
        """
        next_cursor, *called = self._call(self._sweep, [cursor, _milliseconds(seconds)])
        return text_of(next_cursor), _called(called)

    def _call(self, script: Any, args: list[Any]) -> Any:
        return script(keys=[self.prefix], args=args)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _called(parts: list[Any]) -> list[Called]:
    texts = iter(map(text_of, parts))
    return [Called(ticket, next(texts)) for ticket in texts]


def lock_of(hold: Hold) -> str:
    """The text of a unique task that a run holds."""
    return str(json.loads(hold.what)[LOCK]) if hold.what else ""


def driver_of(manager: PluginManager, task: str, where: str) -> Driver:
    """The driver of the component in whose redis limits are kept.

    Args:
        task: one that has limits, for the error.
        where: its file and line.

    Raises:
        RegistrationError: there is none, or none that gives a synchronous client.
    """
    state = manager.component_states.get(COMPONENT)
    driver = state.driver if state is not None else None
    if driver is None:
        problem = "there is none in the settings" if state is None else "its LOAD is no"
    elif not hasattr(driver, "new_thread_client"):
        problem = f"its driver '{state.driver_name if state else ''}' gives no synchronous client"
    else:
        return driver
    raise RegistrationError(
        f"task '{task}' has limits, which are kept in redis by the component '{COMPONENT}', and {problem}",
        where=where or None,
        hint=f"Add OPTIONAL_COMPONENTS.{COMPONENT.upper()} with the driver redis-aioredis, or take the limits away",
    )


def new_store(driver: Any, project: str, *, is_guarded: bool) -> LimitStore:
    """The limits of a project, with connections of their own.

    Args:
        driver: of the component.
        is_guarded: whether its breaker refuses what is asked while redis is known to be gone.
    """
    client = driver.new_thread_client()
    if is_guarded:
        client.connection_pool.guard_by(driver.breaker)
    return LimitStore(client, project)
