"""What becomes of many events while a worker, the api and RabbitMQ go away; on any machine that has them.

`test_killed.py` runs it with some, in processes; `python -m tests.events` with 10,000, in containers.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from uuid import UUID, uuid5

from tests.docker.engine import get
from tests.serve.process import wait_until

CHUNK = 10
AT_ONCE = 4
HANDLERS = ("first", "second")
LOSSES = """
    import asyncio

    from celery.signals import task_prerun
    from fastapi import HTTPException
    from sqlalchemy import select
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    from opa import DeadLetters, Event, emit, get_instance, get_plugin_manager, get_router, get_util, on, queue_lengths

    router = get_router()


    class Base(DeclarativeBase):
        pass


    class Row(Base):
        __tablename__ = "losses"
        event: Mapped[str] = mapped_column(primary_key=True)
        run: Mapped[str]


    async def ready():
        for metadata in (Base.metadata, get_util("sql").outbox_table.metadata):
            await get_util("sql").create_all(metadata)


    @router.post("/emit/{run}/{first}/{count}")
    async def emit_some(run: str, first: int, count: int) -> list[str]:
        # Those that the broker has; without it, the one who asks goes on later.
        ids = []
        for number in range(first, first + count):
            try:
                ids.append((await emit("losses.emitted", {"run": run, "number": number})).id)
            except Exception:
                await get_instance("aioredis").rpush(f"refused:{run}", number)
                break
        return ids


    @router.post("/write/{run}/{first}/{count}")
    async def write_some(run: str, first: int, count: int) -> None:
        for number in range(first, first + count):
            async with get_instance("sql")() as session:
                event = await emit("losses.written", {"run": run, "number": number}, session=session)
                session.add(Row(event=event.id, run=run))
                await (session.commit() if number % 3 else session.rollback())


    async def note(what: str, event: Event) -> None:
        await get_instance("aioredis").rpush(f"{what}:{event.payload['run']}", event.id)


    @on("losses.*")
    async def first(payload: dict, event: Event) -> None:
        await get_instance("aioredis").rpush(f"numbers:{payload['run']}", f"{event.id} {payload['number']}")
        await note("first", event)


    @on("losses.*")
    async def second(payload: dict, event: Event) -> None:
        await note("second", event)


    @on("losses.emitted")
    def fails() -> None:
        raise ValueError("always")


    @task_prerun.connect(weak=False)
    def begin(task, args, **_):
        # Each delivery of an event, and each of a handler's task that was lost before.
        if task.name != "opa.events.relay" and args:
            event, name = args[0], task.name.rpartition(".")[2]
            what = name if name == "fan_out" else f"again_{name}"
            if name == "fan_out" or task.request.delivery_info.get("redelivered"):
                get_instance("walrus").rpush(f"{what}:{event['payload']['run']}", event["id"])


    @router.get("/notes/{what}/{run}")
    async def notes(what: str, run: str) -> list[str]:
        return [each.decode() for each in await get_instance("aioredis").lrange(f"{what}:{run}", 0, -1)]


    @router.get("/rows/{run}")
    async def rows(run: str) -> list[str]:
        async with get_instance("sql")() as session:
            return list(await session.scalars(select(Row.event).where(Row.run == run)))


    @router.get("/waiting")
    async def waiting() -> int:
        table = get_util("sql").outbox_table
        async with get_instance("sql")() as session:
            kept = len((await session.execute(select(table.c.number))).all())
        return kept + (await asyncio.to_thread(queue_lengths))["celery"]


    @router.get("/dead")
    async def dead() -> list[str]:
        page = await DeadLetters(get_plugin_manager()).page(0, 20_000)
        return [letter.id for letter in page.letters]
"""
"""The plugin. What is handled it notes in redis, which stays."""


class Place(Protocol):
    """Where the api, two workers, RabbitMQ, redis and a database run.

    Attributes:
        url: of the api.
    """

    url: str

    def kill_worker(self) -> None:
        """SIGKILL for one of them, and all of its processes."""

    def kill_api(self) -> None:
        """The same for the api, and start it again."""

    def restart_broker(self) -> None:
        """RabbitMQ, or what has the same effect: all connections are lost."""


class Losses:
    """Events of one run.

    Args:
        place: where they are emitted.
        run: its name.
        count: how many there are.
    """

    def __init__(self, place: Place, run: str, count: int) -> None:
        self._place = place
        self._run = run
        self.count = count
        self._done = 0
        self._events: set[str] = set()
        self._patience = 240 + self.count / 5
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def emit(self, number: int) -> list[str]:
        """Emit some, from this number on, until the broker has all of them; gives their ids."""
        ids: list[str] = []
        while len(ids) < CHUNK:
            left = CHUNK - len(ids)
            ids += self._ask("POST", f"/emit/{self._run}/{number + len(ids)}/{left}", lasting=True) or []
            with self._lock:
                self._done += left - (CHUNK - len(ids))
        return ids

    def write(self, number: int) -> list[str]:
        """Write some rows, a third of them rolled back; how far the api came, the rows say."""
        self._ask("GET", f"/rows/{self._run}", lasting=True)  # not one while it is away
        self._ask("POST", f"/write/{self._run}/{number}/{CHUNK}")
        with self._lock:
            self._done += CHUNK
        return []

    def all_of(self, function: Callable[[int], list[str]], **what_happens: Callable[[], None]) -> list[str]:
        """Call it for all numbers, several at once; meanwhile things happen, one after another.

        Args:
            function: `emit` or `write`.
            what_happens: what is done, each after as many events more.
        """
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = [threads.submit(function, number) for number in range(0, self.count, CHUNK)]
            for place, happens in enumerate(what_happens.values(), 1):
                enough = self.count * place // (len(what_happens) + 1)
                wait_until(lambda enough=enough: self._done >= enough, seconds=self._patience)  # type: ignore[misc]
                happens()
            return [each for future in found for each in future.result()]

    def rows(self) -> set[str]:
        """The ids of the events whose transactions were committed."""
        return set(self._ask("GET", f"/rows/{self._run}", lasting=True))

    def handled(self, expected: set[str]) -> str:
        """See that each of these events was handled, and none more often than deliveries were lost.

        There is no other one, but those of which the broker was gone before it could confirm that it has them: whoever
        emitted one was told that it may not be there, and emitted another.

        Returns:
            What to tell of it.
        """

        def is_done() -> bool:
            found, other = (set(self._notes(handler)) for handler in HANDLERS)
            return expected <= found == other and self._ask("GET", "/waiting") == 0

        wait_until(is_done, seconds=self._patience, what=self._overview)
        deliveries, told = Counter(self._notes("fan_out")), []
        self._events = set(self._notes(HANDLERS[0]))
        numbers = dict(each.split() for each in self._notes("numbers"))
        refused, unconfirmed = set(self._notes("refused")), self._events - expected
        assert {numbers[id_] for id_ in unconfirmed} <= refused, (unconfirmed, refused)
        for handler in HANDLERS:
            times, lost = Counter(self._notes(handler)), Counter(self._notes(f"again_{handler}"))
            assert set(times) == self._events, (len(times), len(self._events))
            too_often = {id_: n for id_, n in times.items() if n > 1 + lost[id_] + max(0, deliveries[id_] - 1)}
            assert not too_often, too_often
            told.append(f"{handler} ran {times.total()} times ({lost.total()} lost deliveries)")
        return (
            f"{len(expected)} events of {self.count}, and {len(unconfirmed)} that were not confirmed;"
            f" {deliveries.total()} deliveries of them; {'; '.join(told)}; {time.monotonic() - self._began:.0f} s"
        )

    def given_up(self) -> str:
        """See that the handler that always fails has a dead letter for each of the events that were handled."""
        wanted = {str(uuid5(UUID(id_), "losses.fails")) for id_ in self._events}
        letters = wait_until(
            lambda: found if wanted <= set(found := self._ask("GET", "/dead") or []) else None,
            what=lambda: f"{len(wanted)} dead letters, and not {len(set(self._ask('GET', '/dead') or []) & wanted)}",
        )
        assert set(letters) == wanted
        return f"{len(letters)} dead letters of {len(wanted)} events"

    def _notes(self, what: str) -> list[str]:
        found: list[str] = self._ask("GET", f"/notes/{what}/{self._run}", lasting=True)
        return found

    def _overview(self) -> str:
        return ", ".join(f"{what}: {len(self._notes(what))}" for what in (*HANDLERS, "fan_out"))

    def _ask(self, method: str, path: str, *, lasting: bool = False) -> Any:
        """What the api answers; None where it does not, unless it is to be asked until it does."""

        def ask() -> tuple[Any] | None:
            answer = get(f"{self._place.url}{path}", method=method, timeout=60)
            return (answer.body,) if answer.status == 200 else None

        found = wait_until(ask, what=path) if lasting else ask()
        return None if found is None else found[0]


def emit_many(place: Place, count: int) -> str:
    """So many events, while a worker is killed and RabbitMQ restarts; one handler always fails."""
    losses = Losses(place, "emitted", count)
    ids = losses.all_of(losses.emit, worker=place.kill_worker, broker=place.restart_broker)
    assert len(ids) == count
    return f"emitted: {losses.handled(set(ids))}; {losses.given_up()}"


def write_many(place: Place, count: int) -> str:
    """The same through the outbox, while the api is killed, too."""
    losses = Losses(place, "written", count)
    losses.all_of(losses.write, worker=place.kill_worker, api=place.kill_api, broker=place.restart_broker)
    committed = losses.rows()
    assert count / 3 < len(committed) <= count * 2 / 3 + 1
    return f"written: {losses.handled(committed)}"
