"""What redis keeps of limits: counted there, for as many as ask at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count, pairwise
from typing import Any

import pytest
import redis

from opa._util.rates import Rate
from opa.tasks.limits import scripts
from opa.tasks.limits.store import Hold, LimitStore, Verdict
from opa.tasks.limits.task_limits import Gate, Pace
from tests.serve.process import wait_until

GATE = Gate("concurrency:t:", 3)


class _LaterError(Exception):
    """The answer comes with those of others."""


class Store(LimitStore):
    """One that asks with fewer words."""

    def __init__(self, client: Any, project: str) -> None:
        super().__init__(client, project)
        self.holders = count()
        self._pipe: Any = None

    def begin(self, run: str, *, holder: str = "", **more: Any) -> Verdict:
        given: dict[str, Any] = {
            "gates": [GATE],
            "pace": None,
            "lock": "",
            "lock_life": 100,
            "most_tries": 5,
            "is_fresh": False,
            "ticket": "",
        }
        given |= {"message": run, "task_id": run, **more}
        return self.enter(run, holder or f"w|{next(self.holders)}", **given)

    def end(self, run: str, **more: Any) -> list[str]:
        given: dict[str, Any] = {"task_id": run, "is_done": True, "has_ended": True, **more}
        return [called.message for called in self.leave(run, "w|", **given)]

    def all_at_once(self, ask: Any, runs: Iterable[str]) -> list[Any]:
        """Ask for many in one go; gives what redis answers."""
        with self.client.pipeline(transaction=False) as pipe:
            self._pipe = pipe
            for run in runs:
                with suppress(_LaterError):
                    ask(run)
            self._pipe = None
            answers: list[Any] = pipe.execute()
        return answers

    def _call(self, script: Any, args: list[Any]) -> Any:
        if self._pipe is None:
            return super()._call(script, args)
        script(keys=[self.prefix], args=args, client=self._pipe)
        raise _LaterError

    def running(self, gate: Gate = GATE) -> int:
        return int(self.client.zcard(f"{self.prefix}{gate.name}:slots"))

    def expire(self, run: str, gate: Gate = GATE) -> None:
        """As if its worker had been killed so long ago."""
        self.client.zadd(f"{self.prefix}{gate.name}:slots", {run: 1})
        self.client.delete(f"{self.prefix}hold:{run}")


@pytest.fixture
def store(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    client: Any = redis.Redis.from_url(f"{redis_url}/15")
    wait_until(lambda: client.info("server")["uptime_in_seconds"] >= scripts.START, what="redis is no longer young")
    found = Store(client, request.node.name)
    yield found
    if keys := list(client.scan_iter(f"{found.prefix}*", 1000)):
        client.delete(*keys)


def test_ten_thousand_at_once_pass_in_their_order_and_never_more_than_the_limit(store: Store) -> None:
    gate = Gate("concurrency:many:", 100)

    def begin(run: str) -> Verdict:
        return store.begin(run, gates=[gate])

    runs = [f"r{number}" for number in range(10_000)]
    answers = store.all_at_once(begin, runs)
    running = [run for run, answer in zip(runs, answers, strict=True) if answer[0] == b"run"]
    assert running == runs[:100]
    passed = list(running)
    while running:
        called = [answer[1].decode() for answer in store.all_at_once(store.end, running) if answer]
        assert store.running(gate) == len(called)
        answers = store.all_at_once(begin, called)
        assert {answer[0] for answer in answers} <= {b"run"}
        assert store.running(gate) == len(called) <= gate.limit
        running = called
        passed += called
    assert passed == runs
    assert store.sweep("0", 0.1) == ("0", [])
    left = {key.decode().removeprefix(store.prefix) for key in store.client.scan_iter(f"{store.prefix}*", 1000)}
    assert {name for name in left if not name.startswith("done:")} <= {"awake", "swept"}


def test_a_place_that_is_not_renewed_is_free_and_the_next_is_called(store: Store) -> None:
    for number in range(5):
        store.begin(f"r{number}")
    store.expire("r1")
    _, called = store.sweep("0", 0.1)
    assert [each.message for each in called] == ["r3"]
    assert store.running() == GATE.limit
    assert store.end("r3", is_done=None, has_ended=False) == []


def test_a_place_is_renewed_for_who_runs_and_for_no_other(store: Store) -> None:
    store.begin("mine", holder="w|1")
    store.begin("theirs", holder="other|1")
    store.client.zadd(f"{store.prefix}{GATE.name}:slots", {"mine": 1, "theirs": 1})
    found = store.renew("w|", [("mine", None), ("theirs", None), ("nobody", None)])
    assert found["mine"].holder == "w|1"
    assert found["theirs"] == found["nobody"] == Hold("", "")
    scores = dict(store.client.zrange(f"{store.prefix}{GATE.name}:slots", 0, -1, withscores=True))
    assert scores[b"mine"] > 1
    assert scores[b"theirs"] == 1


def test_who_comes_later_does_not_pass_those_that_wait(store: Store) -> None:
    for number in range(5):
        store.begin(f"r{number}")
    store.expire("r0")
    verdict = store.begin("late")
    assert verdict.what == "wait"
    assert [called.message for called in verdict.called] == ["r3"]


def test_a_copy_of_a_message_neither_runs_beside_the_first_nor_after_it(store: Store) -> None:
    for number in range(3):
        store.begin(f"r{number}")
    assert store.begin("waits").what == "wait"
    assert store.begin("waits").what == "wait"
    assert store.end("r0") == ["waits"]
    assert store.begin("waits").what == "run"
    held = store.begin("waits")
    assert held.what == "held"
    assert 0 < held.seconds <= scripts.LEASE / 1000
    store.end("waits")
    assert store.begin("waits").what == "done"


def test_an_answer_that_was_lost_is_given_again(store: Store) -> None:
    first = store.begin("again", holder="w|9")
    assert store.begin("again", holder="w|9").what == first.what == "run"
    assert store.running() == 1


def test_a_run_whose_worker_is_lost_each_time_is_given_up_and_holds_nothing(store: Store) -> None:
    for _ in range(5):
        assert store.begin("kills", lock="text", lock_life=1000).what == "run"
        store.expire("kills")
    assert store.client.pttl(f"{store.prefix}unique:text") <= scripts.LEASE
    assert store.begin("kills", lock="text").what == "dead"


def test_one_that_is_sent_again_from_the_dead_letters_begins_anew(store: Store) -> None:
    for _ in range(5):
        store.begin("kills")
        store.expire("kills")
    store.end("kills", is_done=True)
    assert store.begin("kills").what == "done"
    assert store.begin("kills", is_fresh=True).what == "run"


def test_no_more_start_in_any_window_and_each_is_told_when(store: Store) -> None:
    pace = Pace("rate:t:", Rate(5, 1))
    started: list[float] = []
    waiting = {f"r{number}": ("", 0.0) for number in range(18)}
    calls = 0
    while waiting:
        now = time.monotonic()
        for run, (ticket, at) in list(waiting.items()):
            if at > now:
                continue
            verdict = store.begin(run, gates=[], pace=pace, ticket=ticket)
            calls += 1
            if verdict.what == "run":
                started.append(time.monotonic())
                del waiting[run]
            else:
                assert verdict.what == "later"
                waiting[run] = (verdict.ticket, time.monotonic() + verdict.seconds + 0.002)
        time.sleep(0.002)
    assert all(later - first > 0.9 for first, later in zip(started, started[5:], strict=False))
    assert calls <= 3 * 18
    assert started[-1] - started[0] > 2.7


def test_ten_thousand_at_once_are_told_their_turns_in_their_order(store: Store) -> None:
    pace = Pace("rate:t:", Rate(10, 60))
    began = time.monotonic()
    answers = store.all_at_once(
        lambda run: store.begin(run, gates=[], pace=pace), (f"r{number}" for number in range(10_000))
    )
    slack = (time.monotonic() - began + 1) * 1000
    assert [answer[0] for answer in answers].count(b"run") == 10
    waits = [answer[2] for answer in answers[10:]]
    assert all(first <= later + slack for first, later in pairwise(waits))
    assert abs(waits[-1] - 60_000 * 999) < slack


def test_who_is_there_starts_while_those_before_it_are_far_back_in_a_long_queue(store: Store) -> None:
    pace = Pace("rate:t:", Rate(2, 60))

    def begin(*runs: str) -> list[str]:
        return [store.begin(run, gates=[], pace=pace).what for run in runs]

    assert begin("a", "b", "c", "d", "e", "f") == ["run"] * 2 + ["later"] * 4
    store.client.delete(f"{store.prefix}{pace.name}:starts")  # as if their time was over
    assert begin("g") == ["later"]
    seconds, _ = store.client.time()
    store.client.zadd(f"{store.prefix}{pace.name}:due", dict.fromkeys("cdef", (seconds - 5) * 1000))
    assert begin("h", "i", "k") == ["run", "run", "later"]


def test_a_task_that_waits_for_its_rate_keeps_no_place(store: Store) -> None:
    pace = Pace("rate:t:", Rate(1, 60))
    assert store.begin("first", pace=pace).what == "run"
    assert store.begin("second", pace=pace).what == "later"
    assert store.running() == 1


def test_one_task_has_a_text_until_it_has_ended(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        holders = set(pool.map(lambda number: store.claim("text", f"task{number}", 60), range(500)))
    assert len(holders) == 1
    holder = holders.pop()
    store.keep("text", "another", 0)
    assert store.claim("text", "another", 60) == holder
    store.begin(holder, lock="text", gates=[])
    store.end(holder, is_done=False, has_ended=False)  # a retry follows
    assert store.claim("text", "another", 60) == holder
    store.begin(f"{holder}:1", lock="text", gates=[], task_id=holder)
    store.end(f"{holder}:1", task_id=holder)
    assert store.claim("text", "another", 60) == "another"


def test_a_task_that_ends_before_it_began_leaves_the_line_and_its_text(store: Store) -> None:
    for number in range(4):
        store.begin(f"r{number}", lock=f"text{number}", lock_life=100)
    assert store.claim("text3", "another", 60) == "r3"
    store.end("r3", lock="text3")
    assert store.claim("text3", "another", 60) == "another"
    assert store.end("r0") == []


def test_who_holds_a_text_by_another_id_keeps_it_when_one_ends(store: Store) -> None:
    store.claim("text", "first", 60)
    store.begin("second", lock="text", gates=[Gate("unique:text", 1)])
    store.end("second")
    assert store.claim("text", "third", 60) == "first"
