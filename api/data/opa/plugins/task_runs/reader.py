"""Reads runs, follows the log of one, and has them cancelled or sent again: for commands, and for pages."""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from opa import ComponentUnavailableError
from opa.plugins.task_runs.component import COMPONENT
from opa.plugins.task_runs.failure import RunError
from opa.plugins.task_runs.names import (
    DEAD,
    FAILED,
    GIVEN_BACK,
    LOST,
    RETRYING,
    REVOKED,
    RUNNING,
    STATES,
    SUCCEEDED,
    WAITING,
    prefix_of,
)
from opa.plugins.task_runs.records import BESIDE, Run, run_in
from opa.plugins.task_runs.said import LONGEST, decompressed, unpacked
from opa.redis_clients import outages_of, text_of

if TYPE_CHECKING:
    from opa import PluginManager

PAGE = 50
LOOKED_AT = 5000
"""Runs that are looked at for one page, where few of them fit: the next page goes on from there."""
MOST_SKIPPED = 100_000
"""Runs of one moment behind which a cursor can be."""
SCANNED = 5000
"""Runs that redis looks through at a time for the beginning of an id."""
MOST_SHOWN = 3
"""Ids that are named where several begin alike."""
MOST_TASKS = 1000
"""Tasks whose runs are counted: anybody who writes into the broker can make up names."""
FOLLOW_INTERVAL = 0.4
FOUND_LIFE = 10
"""Seconds for which redis has an index that was made for a question."""
LONGEST_NOTE = 300
CELERY_STATES = {
    WAITING: "PENDING",
    GIVEN_BACK: "PENDING",
    RUNNING: "STARTED",
    LOST: "PENDING",
    RETRYING: "RETRY",
    SUCCEEDED: "SUCCESS",
    FAILED: "FAILURE",
    DEAD: "FAILURE",
    REVOKED: "REVOKED",
}
UNKNOWN = "UNKNOWN"
WHAT = "the runs of tasks"


@dataclass(frozen=True)
class Page:
    """A part of a list.

    Attributes:
        runs: those sent last come first.
        cursor: gives the next page; None behind the last one.
    """

    runs: tuple[Run, ...]
    cursor: str | None


@dataclass(frozen=True)
class RunLog:
    """What the log said during a run.

    Attributes:
        text: its last 64 KB.
        traceback: of the error; empty where there was none.
        total: characters that were said in all.
    """

    text: str = ""
    traceback: str = ""
    total: int = 0


def reader_of(manager: PluginManager) -> RunReader:
    """The runs of an application, whose component is connected.

    Raises:
        ComponentUnavailableError: it is not.
    """
    if COMPONENT not in manager.optional_components:
        state = manager.component_states.get(COMPONENT)
        raise ComponentUnavailableError(
            f"component '{COMPONENT}', which has {WHAT}, is {state or 'not configured'}", component=COMPONENT
        )
    client = manager.optional_components[COMPONENT].get_instance()
    return RunReader(client, prefix_of(manager.config), manager)


class RunReader:
    """The runs of a project. Redis may not answer: then everything raises ComponentUnavailableError.

    Args:
        client: a `redis.asyncio.Redis`.
        prefix: what its keys begin with.
        manager: of the application.
    """

    def __init__(self, client: Any, prefix: str, manager: PluginManager) -> None:
        self._client = client
        self._prefix = prefix
        self._manager = manager

    async def get(self, task_id: str) -> Run | None:
        """The run of this id; None where nothing is known of it."""
        with outages_of(COMPONENT, WHAT):
            text = await self._client.get(f"{self._prefix}run:{task_id}")
        return None if text is None else run_in(task_id, text)

    async def id_of(self, beginning: str) -> str:
        """The id that begins so; the same text where it is an id itself, or none begins so.

        Raises:
            RunError: several do, or it is empty.
        """
        if not beginning:  # a variable of a shell that is not set, and not the only run that there is
            raise RunError("no id is given", hint="`opa tasks runs` shows the ids")
        if await self.get(beginning) is not None:
            return beginning
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", beginning) + "*"
        with outages_of(COMPONENT, WHAT):
            scan = self._client.zscan_iter(f"{self._prefix}all", match=pattern, count=SCANNED)
            found = sorted({text_of(task_id) async for task_id, _ in scan})
        if len(found) > 1:
            shown = ", ".join(found[:MOST_SHOWN]) + (", …" if len(found) > MOST_SHOWN else "")
            raise RunError(f"the ids of {len(found)} runs begin with {beginning!r}: {shown}", hint="Give more of it")
        return found[0] if found else beginning

    async def celery_state(self, task_id: str) -> str:
        """What Celery would call its state; `UNKNOWN` where nothing is known of it."""
        run = await self.get(task_id)
        return UNKNOWN if run is None else CELERY_STATES[run.state]

    async def tasks(self) -> list[str]:
        """The names of the tasks of which there are runs."""
        with outages_of(COMPONENT, WHAT):
            return sorted(map(text_of, await self._client.smembers(f"{self._prefix}tasks")))

    async def counts(self) -> dict[str, int]:
        """How many runs are in each state, and how many there are, as `all`."""
        states = [state for state in STATES if state != SUCCEEDED]
        with outages_of(COMPONENT, WHAT):
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.zcard(f"{self._prefix}all")
                for state in states:
                    pipe.zcard(f"{self._prefix}state:{state}")
                total, *found = await pipe.execute()
        counts = dict(zip(states, found, strict=True))
        return {"all": total, SUCCEEDED: max(0, total - sum(found)), **counts}

    async def counts_by_task(
        self, states: Collection[str], *, since: float | None = None
    ) -> dict[tuple[str, str], int]:
        """How many runs of each task are in each of these states, where there are any: by the task and the state.

        Args:
            states: without `succeeded`, of which there is no index.
            since: only those sent after this time.
        """
        tasks = (await self.tasks())[:MOST_TASKS]
        each = [(task, state) for task in tasks for state in states]
        key = f"{self._prefix}found:{secrets.token_hex(4)}"
        with outages_of(COMPONENT, WHAT):
            async with self._client.pipeline(transaction=False) as pipe:
                for task, state in each:
                    both = [f"{self._prefix}state:{state}", f"{self._prefix}task:{task}"]
                    pipe.zinterstore(key, both, aggregate="MAX")
                    pipe.zcount(key, "-inf" if since is None else since, "+inf")
                pipe.unlink(key)
                counts = (await pipe.execute())[1:-1:2]
        return {names: count for names, count in zip(each, counts, strict=True) if count}

    async def list_runs(
        self,
        *,
        task: str | None = None,
        states: Collection[str] = (),
        since: float | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page:
        """Runs, those sent last first.

        Args:
            task: only those of this task.
            states: only those in one of these states.
            since: only those sent after this time.
            cursor: of the page before.
            limit: how many there are in a page.
        """
        most, skipped = _read_cursor(cursor)
        keys = await self._indexes(task, states)
        found: list[Run] = []
        looked_at = 0
        while looked_at < LOOKED_AT:
            part = await self._part(keys, most, skipped, since, min(500, max(limit, 50)))
            if not part:
                return Page(tuple(found), None)
            for run, order in part:
                looked_at += 1
                # Those of the same moment have no order but that of the index.
                most, skipped = (most, skipped + 1) if order == most else (order, 1)
                if run is None or (task is not None and run.task != task) or (states and run.state not in states):
                    continue
                found.append(run)
                if len(found) == limit:
                    return Page(tuple(found), f"{most!r}:{skipped}")
        return Page(tuple(found), f"{most!r}:{skipped}")

    async def _indexes(self, task: str | None, states: Collection[str]) -> list[str]:
        """The indexes that have all that are looked for; with those that succeeded, they have all others too."""
        of_states = [f"{self._prefix}state:{state}" for state in sorted(set(states))]
        of_task = [] if task is None else [f"{self._prefix}task:{task}"]
        if not of_states or SUCCEEDED in states:  # which have no index
            return of_task or [f"{self._prefix}all"]
        if not of_task:
            return of_states
        found = {f"{self._prefix}found:{state}:{task}": f"{self._prefix}state:{state}" for state in sorted(set(states))}
        with outages_of(COMPONENT, WHAT):
            async with self._client.pipeline() as pipe:
                for key, of_state in found.items():
                    pipe.zinterstore(key, [of_state, *of_task], aggregate="MAX")
                    pipe.expire(key, FOUND_LIFE)
                await pipe.execute()
        return list(found)

    async def _part(
        self, keys: list[str], most: float, skipped: int, since: float | None, size: int
    ) -> list[tuple[Run | None, float]]:
        least = "-inf" if since is None else since
        greatest = "+inf" if most == float("inf") else repr(most)
        is_one = len(keys) == 1
        start, num = (skipped, size) if is_one else (0, skipped + size)
        with outages_of(COMPONENT, WHAT):
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.zrevrangebyscore(key, greatest, least, start=start, num=num, withscores=True)
                parts = await pipe.execute()
            found = parts[0]
            if not is_one:
                # In the order that one index of all of them would have, which redis would make for each page.
                each = {task_id: score for part in parts for task_id, score in part}
                found = sorted(each.items(), key=lambda item: (item[1], item[0]), reverse=True)
                found = found[skipped : skipped + size]
            if not found:
                return []
            ids = [text_of(task_id) for task_id, _ in found]
            texts = await self._client.mget([f"{self._prefix}run:{task_id}" for task_id in ids])
        return [
            (run_in(task_id, text) if text else None, score)
            for task_id, text, (_, score) in zip(ids, texts, found, strict=True)
        ]

    async def log(self, run: Run) -> RunLog:
        """What the log said during its tries, the last 64 KB."""
        tries = range(max(1, run.tries - 4), run.tries + 1)
        with outages_of(COMPONENT, WHAT):
            found = await self._client.mget([f"{self._prefix}log:{run.id}:{number}" for number in tries])
        logs = []
        for each in found:
            if each is not None:
                try:
                    logs.append(unpacked(each))
                except ValueError:
                    continue
        if not logs:
            return RunLog()
        return RunLog("".join(text for text, _, _ in logs)[-LONGEST:], logs[-1][1], sum(total for _, _, total in logs))

    async def follow(self, task_id: str) -> AsyncIterator[str]:
        """The log of a run as it is written, from what there is on; it ends when the run does."""
        seen = 0
        while True:
            run = await self.get(task_id)
            if run is None:
                return
            said = await self.log(run)
            if said.total > seen:
                yield said.text[-(said.total - seen) :]
                seen = said.total
            if run.is_over:
                return
            await asyncio.sleep(FOLLOW_INTERVAL)

    async def note(self, task_id: str, text: str) -> None:
        """Write into the record what a user has done with it."""
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        await self._tell({"i": task_id, "x": f"{when} {text}"[:LONGEST_NOTE]})

    async def cancel(self, task_id: str, who: str) -> Run:
        """Have a task not run, or end.

        Args:
            who: asks for it.

        Returns:
            The run as it was before.

        Raises:
            RunError: nobody knows it, or it has ended.
        """
        run = await self.get(task_id)
        if run is None:
            raise RunError(f"nobody knows a run {task_id}", hint="`opa tasks runs` shows those that are known")
        if run.is_over:
            raise RunError(f"{task_id} has ended: it is {run.state}", hint="There is nothing to cancel")
        config = self._manager.config
        now = time.time()
        with outages_of(COMPONENT, WHAT):
            async with self._client.pipeline() as pipe:
                key = f"{self._prefix}cancelled"
                pipe.zadd(key, {task_id: now})
                pipe.zremrangebyscore(key, "-inf", now - config.RUNS_KEEP_AGE)
                pipe.zremrangebyrank(key, 0, -10_001)
                pipe.expire(key, int(config.RUNS_KEEP_AGE) + 1)
                await pipe.execute()
        app = self._manager.celery
        await asyncio.to_thread(partial(app.control.revoke, task_id, terminate=run.state == RUNNING))
        if run.state != RUNNING:
            fields = {"y": "cancelled", "te": round(now, 4)}
            await self._tell({"i": task_id, "s": REVOKED, "a": round(now, 4), "n": run.tries, "f": fields})
        await self.note(task_id, f"cancelled by {who}")
        return run

    async def again(self, task_id: str, who: str) -> str:
        """Send a task again, with the same arguments and into the same queue; the id of the new run.

        Args:
            who: asks for it.

        Raises:
            RunError: nobody knows it, or its arguments are not kept.
            kombu.exceptions.OperationalError: the broker does not answer.
        """
        run = await self.get(task_id)
        if run is None:
            raise RunError(f"nobody knows a run {task_id}", hint="`opa tasks runs` shows those that are known")
        body = run.body
        if body == BESIDE:
            with outages_of(COMPONENT, WHAT):
                packed = await self._client.get(f"{self._prefix}body:{task_id}")
            try:
                body = "" if packed is None else decompressed(packed)
            except ValueError:  # others may write there, too
                body = ""
        if not body:
            raise RunError(
                f"the arguments of {task_id} are not kept: they hold what looks secret, are longer than 16 KB,"
                " have made room for others, or whoever has sent it records no runs",
                hint=f"Give them: opa tasks run {run.task} ARGS",
            )
        new = await self.send(run.task, body, who, queue=run.queue)
        await self.note(task_id, f"sent again as {new} by {who}")
        await self.note(new, f"{task_id} again, by {who}")
        return new

    async def send(self, task: str, body: str, who: str, queue: str = "") -> str:
        """Send a task as a person does it.

        Args:
            task: its name.
            body: arguments and named arguments, a list of JSON.
            who: sends it.
            queue: where to, if not where it goes by itself.

        Returns:
            Its id.

        Raises:
            RunError: there is no such task here.
        """
        from opa.plugins.task_runs.sending import send_as_person

        return await asyncio.to_thread(send_as_person, self._manager, task, body, who, queue)

    async def sweep(self) -> None:
        """Find the runs whose workers are gone; workers do so too, but there may be none."""
        from opa.plugins.task_runs.limits import Limits
        from opa.plugins.task_runs.put import journal_folder, write_left
        from opa.plugins.task_runs.scripts import RECORD
        from opa.plugins.task_runs.sweep import sweep

        state = self._manager.component_states[COMPONENT]

        def look() -> None:
            client = state.driver.new_thread_client()  # type: ignore[union-attr]
            limits = Limits(self._manager.config)
            try:
                write_left(client.register_script(RECORD), limits, journal_folder(self._manager.config), None)
                sweep(client, self._manager, limits)
            finally:
                client.close()

        with outages_of(COMPONENT, WHAT):
            await asyncio.to_thread(look)

    async def _tell(self, event: dict[str, Any]) -> None:
        from opa.plugins.task_runs.limits import Limits
        from opa.plugins.task_runs.scripts import RECORD

        limits = Limits(self._manager.config)
        args = [*limits.args(), json.dumps([event])]
        with outages_of(COMPONENT, WHAT):
            await self._client.register_script(RECORD)(keys=[], args=args)


def _read_cursor(cursor: str | None) -> tuple[float, int]:
    if cursor is None:
        return float("inf"), 0
    try:
        most, skipped = cursor.split(":")
        found = float(most), int(skipped)
        if math.isnan(found[0]) or not 0 <= found[1] <= MOST_SKIPPED:
            raise ValueError(cursor)
        return found
    except ValueError:
        raise RunError(
            f"{cursor[:100]!r} is not a cursor of a list of runs", hint="Take the one that the list has given"
        ) from None
