"""What redis has of runs: put together in any order, found by indexes, and bounded."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import redis

from opa.plugins.task_runs.failure import RunError
from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.put import put
from opa.plugins.task_runs.reader import RunReader
from opa.plugins.task_runs.records import Run, as_json
from opa.plugins.task_runs.said import LONGEST, Said, unpacked
from opa.plugins.task_runs.scripts import RECORD
from opa.redis_clients import text_of

NOW = time.time() // 1 - 20_000


class Store:
    """The runs of a project of its own."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.url = url
        self.client: Any = redis.Redis.from_url(url)
        self._settings = {
            **{"PROJECT_ID": uuid4().hex, "RUNS_KEEP": 1000, "RUNS_KEEP_AGE": 36_000},
            **{"RUNS_KEEP_BYTES": 1_000_000, "RUNS_KEEP_RECORD_BYTES": None},
        }
        self.set(**settings)
        self.prefix = self.limits.prefix
        self._record = self.client.register_script(RECORD)

    def set(self, **settings: Any) -> None:
        self._settings |= settings
        self.limits = Limits(SimpleNamespace(**self._settings))

    def tell(self, *events: dict[str, Any], blobs: tuple[tuple[str, bytes], ...] = ()) -> None:
        put(self._record, self.limits, list(map(as_json, events)), list(blobs))

    def grow_older(self, seconds: float) -> None:
        """Have all that there is be written earlier, without waiting."""
        for name in self.names():
            if name in ("all", "blobs") or name.startswith(("task:", "state:")):
                key = f"{self.prefix}{name}"
                older = {each: score - seconds for each, score in self.client.zrange(key, 0, -1, withscores=True)}
                self.client.zadd(key, older)

    def state(self, task_id: str) -> str:
        return str(json.loads(self.client.get(f"{self.prefix}run:{task_id}"))["s"])

    def names(self) -> list[str]:
        return sorted(text_of(key).removeprefix(self.prefix) for key in self.client.keys(f"{self.prefix}*"))

    def read(self, use: Callable[[RunReader], Any]) -> Any:
        """What `use` gives of a reader."""

        async def run() -> Any:
            client = redis.asyncio.Redis.from_url(self.url)
            try:
                return await use(RunReader(client, self.prefix, None))  # type: ignore[arg-type]
            finally:
                await client.aclose()

        return asyncio.run(run())

    def listed(self, **filters: Any) -> list[str]:
        """The ids of all pages of a list."""

        async def all_pages(reader: RunReader) -> list[str]:
            found, cursor = list[str](), None
            while True:
                page = await reader.list_runs(cursor=cursor, limit=7, **filters)
                found += [run.id for run in page.runs]
                cursor = page.cursor
                if cursor is None:
                    return found

        found: list[str] = self.read(all_pages)
        return found


@pytest.fixture
def store(redis_url: str) -> Store:
    return Store(redis_url)


def event(state: str, at: float, *, tries: int = 1, task_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"i": task_id, "s": state, "a": NOW + at, "n": tries, "f": {"t": "shop.add", "ts": NOW, **fields}}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([event("waiting", 0), event("running", 1), event("succeeded", 2)], "succeeded"),
        ([event("waiting", 0), event("running", 1), event("failed", 2)], "failed"),
        ([event("waiting", 0), event("running", 1), event("retrying", 2), event("running", 3, tries=2)], "running"),
        ([event("given back", 2), event("running", 3), event("dead", 4)], "dead"),
        # The clock of the first worker is an hour ahead: the broker says who had it later.
        ([event("running", 3600, d=1), event("running", 1, d=2), event("failed", 2, d=2)], "failed"),
        ([event("running", 3600, d=1), event("given back", 3601, d=1), event("running", 1, d=2)], "running"),
        # The clock of the worker is set back while it runs.
        ([event("running", 3600, d=1, k="w"), event("failed", 2, d=1, k="w")], "failed"),
        ([event("failed", 3600, d=1, k="w"), event("running", 1, d=2, k="w")], "running"),
        # A second run, by another worker, of what was thought to be lost.
        ([event("succeeded", 2), event("failed", 9)], "succeeded"),
    ],
)
def test_events_lead_to_the_same_state_in_any_order(store: Store, events: list[dict[str, Any]], state: str) -> None:
    for number, order in enumerate(itertools.permutations(events)):
        for each in order:
            store.tell({**each, "i": f"run-{number}"})
        assert store.state(f"run-{number}") == state, [each["s"] for each in order]


def test_a_run_is_lost_only_while_it_is_still_that_of_the_worker_that_is_gone(store: Store) -> None:
    lost = {**event("lost", 60), "l": "gone"}
    store.tell(event("running", 1, k="gone"), lost)
    assert store.state("a") == "lost"
    store.tell(
        event("running", 2, task_id="b", k="gone"), event("running", 3, task_id="b", k="other"), {**lost, "i": "b"}
    )
    assert store.state("b") == "running"
    store.tell(event("failed", 3, task_id="c", k="gone"), {**lost, "i": "c"})
    assert store.state("c") == "failed"
    store.tell(event("failed", 4))
    assert store.state("a") == "failed", "it was not gone after all"


def test_the_deliveries_of_what_was_sent_again_begin_anew(store: Store) -> None:
    store.tell(event("dead", 2, d=5))
    store.tell({**event("waiting", 5), "z": 1}, event("running", 6, d=1))
    assert store.state("a") == "running"
    store.tell(event("dead", 7, d=5))
    store.tell(event("running", 9, d=1), {**event("waiting", 8), "z": 1})
    assert store.state("a") == "running"


def test_what_was_sent_again_waits_again_and_a_late_sent_changes_nothing(store: Store) -> None:
    store.tell(event("dead", 2), event("waiting", 0))
    assert store.state("a") == "dead"
    store.tell({**event("waiting", 5), "z": 1})
    assert store.state("a") == "waiting"


def test_runs_are_found_by_task_state_and_time_page_by_page(store: Store) -> None:
    states = ("succeeded", "failed", "dead", "waiting")
    for number in range(60):
        # Three were sent at the same moment, as many are.
        store.tell(event(states[number % 4], 1, task_id=f"{number:02}", ts=NOW + number // 3, t=f"shop.t{number % 5}"))
    everything = [f"{number:02}" for number in range(60)]
    assert sorted(store.listed()) == everything
    assert store.listed()[0] in ("57", "58", "59")
    assert sorted(store.listed(states=("failed",))) == [each for each in everything if int(each) % 4 == 1]
    assert sorted(store.listed(states=("failed", "dead"))) == [each for each in everything if int(each) % 4 in (1, 2)]
    # An open page asks every other second: it has redis put nothing together of all that ever failed.
    assert not any(name.startswith("found:") for name in store.names())
    assert sorted(store.listed(states=("succeeded",))) == [each for each in everything if int(each) % 4 == 0]
    both = [each for each in everything if int(each) % 20 == 1]
    assert sorted(store.listed(task="shop.t1", states=("failed",))) == both
    assert sorted(store.listed(task="shop.t1", states=("failed", "dead", "lost"))) == [
        each for each in everything if int(each) % 5 == 1 and int(each) % 4 in (1, 2)
    ]
    assert sorted(store.listed(task="shop.t2", states=("succeeded", "failed"))) == [
        each for each in everything if int(each) % 5 == 2 and int(each) % 4 in (0, 1)
    ]
    assert sorted(store.listed(since=NOW + 19)) == ["57", "58", "59"]
    assert store.listed(task="nobody.has_this") == []

    # Of each task, and only those of a time.
    counts = store.read(lambda reader: reader.counts_by_task(("failed", "lost"), since=NOW + 10))
    assert counts == {
        (f"shop.t{task}", "failed"): sum(number % 5 == task for number in range(1, 60, 4) if number >= 30)
        for task in range(5)
    }
    assert store.read(lambda reader: reader.counts_by_task(("failed",)))["shop.t1", "failed"] == len(both)


def test_the_beginning_of_an_id_is_enough_where_no_other_begins_so(store: Store) -> None:
    for task_id in ("3f2a-1", "3f2a-12", "3f2bc", "3*", "3[f]", "\\3"):
        store.tell({"i": task_id, "s": "waiting", "a": NOW, "n": 1, "f": {"t": "shop.add", "ts": NOW}})

    async def ids_of(*beginnings: str) -> list[str]:
        async with redis.asyncio.Redis.from_url(store.url) as client:
            reader = RunReader(client, store.prefix, None)  # type: ignore[arg-type]
            return [await reader.id_of(each) for each in beginnings]

    assert asyncio.run(ids_of("3f2b", "3f2a-1", "3f2a-12")) == ["3f2bc", "3f2a-1", "3f2a-12"], "an id is that run"
    assert asyncio.run(ids_of("3[", "\\", "3*")) == ["3[f]", "\\3", "3*"]
    assert asyncio.run(ids_of("nobody")) == ["nobody"]
    with pytest.raises(RunError, match="the ids of 3 runs begin with '3f2': 3f2a-1, 3f2a-12, 3f2bc. Give more"):
        asyncio.run(ids_of("3f2"))
    with pytest.raises(RunError, match="no id is given"):
        asyncio.run(ids_of(""))


def test_the_oldest_make_room_with_all_that_is_known_of_them(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP=5)
    for number in range(30):
        blobs = ((f"log:{number}:1", b"x" * 100), (f"body:{number}", b"y" * 10))
        store.tell(event("failed", 1, task_id=str(number), ts=NOW + number, t=f"shop.t{number}"), blobs=blobs)
    kept = [str(number) for number in range(25, 30)]
    assert sorted(store.listed()) == kept
    indexes = {"all", "blobs", "counted", "tasks", "state:failed", *(f"task:shop.t{each}" for each in kept)}
    of_runs = {
        f"{what}{each}{suffix}" for each in kept for what, suffix in (("run:", ""), ("log:", ":1"), ("body:", ""))
    }
    assert set(store.names()) == indexes | of_runs
    # By their age, too; and what nobody looks after any more goes by itself.
    store.grow_older(36_000)
    store.tell(event("succeeded", 1, task_id="new", ts=NOW))
    assert store.listed() == ["new"]
    assert all(store.client.ttl(f"{store.prefix}{key}") > 0 for key in store.names())


@pytest.mark.parametrize("odd", ["no base 64", "A"])
def test_arguments_that_others_have_written_and_that_cannot_be_read_are_not_kept(store: Store, odd: str) -> None:
    store.tell(event("failed", 1, b="+"))
    store.client.set(f"{store.prefix}body:a", odd)
    with pytest.raises(RunError, match="the arguments of a are not kept"):
        store.read(lambda reader: reader.again("a", "ada"))


def test_no_clock_but_that_of_redis_makes_a_run_too_old_or_keeps_it(redis_url: str) -> None:
    store = Store(redis_url)
    store.tell(event("failed", 1, task_id="a", ts=NOW), event("waiting", 1, task_id="b", ts=NOW + 1))
    # The clock of one process is in the next year, and then in 1970; a task has waited for longer than runs are kept.
    for task_id, moment in (("c", NOW + 31_536_000), ("d", 3.0), ("e", NOW - 40_000)):
        store.tell(
            {**event("succeeded", 1, task_id=task_id, ts=moment), "a": moment}, blobs=((f"log:{task_id}:1", b"x"),)
        )
    assert store.listed() == ["e", "d", "c", "b", "a"]
    assert all(
        score <= time.time() + 60 for _, score in store.client.zrange(f"{store.prefix}all", 0, -1, withscores=True)
    )
    store.grow_older(37_000)
    store.tell(event("succeeded", 1, task_id="new", ts=NOW))
    assert store.listed() == ["new"]
    assert [name for name in store.names() if name.startswith(("state:", "log:"))] == []


def test_logs_make_room_for_newer_ones_and_their_runs_stay(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP_BYTES=2000)
    for number in range(20):
        store.tell(event("failed", 1, task_id=str(number)), blobs=((f"log:{number}:1", b"x" * 300),))
    assert [key for key in store.names() if key.startswith("log:")] == ["log:17:1", "log:18:1", "log:19:1"]
    assert len(store.listed()) == 20


def test_the_log_of_a_run_is_its_end_and_bounded() -> None:
    said = Said()
    for number in range(5000):
        said.add(f"line {number} {'.' * 40}\n")
    said.add("x" * (2 * LONGEST))
    text, traceback, total = unpacked(said.packed("Traceback\n"))
    assert len(text) <= LONGEST
    assert text.endswith("x")
    assert traceback == "Traceback\n"
    assert total > 250_000


@pytest.mark.parametrize("kept", [b"", b"1 2", b"x y z", b"1 2 AAAA"])
def test_what_is_no_log_is_said_to_be_none(kept: bytes) -> None:
    with pytest.raises(ValueError):
        unpacked(kept)


def test_what_kept_a_run_waiting_is_no_problem_once_it_runs() -> None:
    waits = Run("a", state="given back", reason="it waits for its turn")
    assert waits.problem == "it waits for its turn"
    assert replace(waits, state="succeeded").problem == ""
    assert replace(waits, state="running", error="ValueError: of the first try").problem == ""
    assert replace(waits, state="failed", error="ValueError").problem == "ValueError"


def test_records_that_others_have_written_are_left_out(store: Store) -> None:
    store.tell(event("failed", 1, task_id="good"), event("failed", 1, task_id="bad"))
    odd = ('{"s": "failed", "n": 1e999}', '{"s": "failed", "ts": NaN}', '{"s": "failed", "te": 1e300}')
    for text in ("", "[]", "null", '{"s": "unheard of"}', '{"s": "failed", "n": "many"}', "[" * 100_000, *odd):
        store.client.set(f"{store.prefix}run:bad", text)
        assert store.listed() == ["good"]


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'"x"',
        b"{}",
        b'{"s": {}}',
        b'{"s": "failed", "n": 1e17}',
        b'{"s": "failed", "ts": NaN}',
        b'{"s": "failed", "n": 1, "a": 1, "d": "x"}',
    ],
)
def test_records_that_others_have_written_do_not_keep_ours_from_being_written(redis_url: str, text: bytes) -> None:
    store = Store(redis_url, RUNS_KEEP=2)
    for place in ("all", "state:running"):
        store.client.zadd(f"{store.prefix}{place}", {"bad": 1})
    store.client.set(f"{store.prefix}run:bad", text)
    store.tell(event("failed", 1, task_id="bad", d=1), event("failed", 1, task_id="good"))
    assert "good" in store.listed()
    store.client.set(f"{store.prefix}run:bad", text)
    store.client.zadd(f"{store.prefix}all", {"bad": 1})
    store.tell(*(event("failed", 1, task_id=f"new-{number}") for number in range(2)))
    assert sorted(store.listed()) == ["new-0", "new-1"]
    assert "run:bad" not in store.names()


@pytest.mark.parametrize("odd", [{"e": "half a \ud800"}, {"ts": float("nan")}, {"ts": 1e300}, {"d": 10**400}])
def test_what_redis_cannot_write_keeps_no_other_run_from_being_written(store: Store, odd: dict[str, Any]) -> None:
    store.tell(
        event("failed", 1, task_id="odd", **odd), event("failed", float("inf"), task_id="never"), event("dead", 1)
    )
    assert sorted(store.listed()) == ["a", "never", "odd"]


def test_notes_are_cut_between_characters(store: Store) -> None:
    store.tell(event("failed", 1))
    for length in range(90, 100):
        store.tell({"i": "a", "x": f"sent again by {'ü' * length}"})
        assert store.listed() == ["a"]
