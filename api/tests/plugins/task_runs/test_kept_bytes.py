"""What runs take in redis is bounded by bytes, whatever they return and log, and nothing else disagrees with it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from opa.plugins.task_runs.names import STATES
from opa.plugins.task_runs.scripts import SWEEP
from opa.redis_clients import text_of
from tests.plugins.task_runs.test_store import NOW, Store, event


def counted(store: Store) -> tuple[int, int]:
    """Bytes of records and of logs, as redis has counted them."""
    of_runs, of_blobs = store.client.get(f"{store.prefix}counted").split()
    return int(of_runs), int(of_blobs)


def sweep(store: Store) -> None:
    store.client.register_script(SWEEP)(keys=[], args=[*store.limits.args(), 15])


def counted_anew(store: Store) -> tuple[int, int]:
    store.client.delete(f"{store.prefix}counted")
    sweep(store)
    return counted(store)


def ended(number: int, *, state: str = "succeeded", **fields: Any) -> dict[str, Any]:
    return event(state, number, task_id=f"{number:04}", ts=NOW + number, t=f"shop.t{number % 3}", **fields)


def kept(store: Store) -> dict[str, str]:
    """The result of each run, the oldest first; indexes, records and counts agree."""
    records = {name.removeprefix("run:") for name in store.names() if name.startswith("run:")}
    assert set(store.listed()) == records
    assert {text_of(each) for each in store.client.zrange(f"{store.prefix}all", 0, -1)} == records
    by_task = [each for number in range(3) for each in store.listed(task=f"shop.t{number}")]
    assert sorted(by_task) == sorted(records)
    counts = store.read(lambda reader: reader.counts())
    assert counts == {"all": len(records), **{state: len(store.listed(states=(state,))) for state in STATES}}
    found = store.read(lambda reader: reader.list_runs(limit=1000)).runs
    return {run.id: run.result for run in reversed(found)}


def test_the_oldest_runs_make_room_where_their_records_take_more_than_they_may(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP_RECORD_BYTES=50_000)
    for number in range(200):
        store.tell(ended(number, state=("succeeded", "failed", "dead")[number % 3], e="x" * 300))
        assert counted(store)[0] <= 50_000
    assert 40 < len(kept(store)) < 70
    assert list(kept(store)) == [f"{number:04}" for number in range(200)][-len(kept(store)) :]
    assert counted(store)[0] > 48_000, "no more go than must"
    assert counted(store) == counted_anew(store)
    # Few long ones, and then many short ones.
    store.tell(*(ended(number) for number in range(200, 400)))
    assert 80 < len(kept(store)) < 120
    assert counted(store) == counted_anew(store)


def test_the_results_of_the_oldest_are_cut_before_runs_make_room(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP_RECORD_BYTES=100_000)
    for number in range(140):
        store.tell(ended(number, r="ü" * 1000 if number % 2 else "short"))
        assert counted(store)[0] <= 100_000
    results = list(kept(store).values())
    assert len(results) == 140, "none has made room"
    assert results[::2] == ["short"] * 70
    assert results[1] == "ü" * 48 + "…", "between characters"
    assert {len(each) for each in results[1:100:2]} == {49}
    assert {len(each) for each in results[-13::2]} == {1000}
    assert [len(each) for each in results[1::2]] == sorted(len(each) for each in results[1::2])
    assert counted(store) == counted_anew(store)
    # When there is nothing left to cut, they go.
    for number in range(140, 400):
        store.tell(ended(number, r="ü" * 1000))
    assert counted(store)[0] <= 100_000
    results = list(kept(store).values())
    assert 50 < len(results) < 140
    assert len(results[0]) == 49
    assert len(results[-1]) == 1000
    # What arrives late of a run brings nothing back that was cut.
    oldest = int(next(iter(kept(store))))
    store.tell(ended(oldest + 1, r="ü" * 1000), {"i": f"{oldest + 1:04}", "x": "sent again"})
    assert len(kept(store)[f"{oldest + 1:04}"]) == 49
    assert counted(store) == counted_anew(store)


def test_a_smaller_setting_holds_soon_and_for_records_and_logs_of_before_as_well(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP=10_000, RUNS_KEEP_BYTES=10_000_000)
    for first in range(0, 4000, 500):
        numbers = range(first, first + 500)
        blobs = tuple((f"log:{number:04}:1", b"x" * 200) for number in numbers)
        store.tell(*(ended(number) for number in numbers), blobs=blobs)
    # As a version leaves them that counts nothing, or counts otherwise.
    store.client.delete(f"{store.prefix}counted")
    store.set(RUNS_KEEP_RECORD_BYTES=200_000, RUNS_KEEP_BYTES=50_000)
    sweep(store)
    for first in range(4000, 4400, 20):
        before, names_before = counted(store), len(store.names())
        store.tell(*(ended(number) for number in range(first, first + 20)))
        assert counted(store)[0] <= max(200_000, before[0])
        assert counted(store)[1] <= max(50_000, before[1])
        assert names_before - len(store.names()) <= 2000, "redis does nothing else meanwhile"
    of_runs, of_blobs = counted(store)
    assert 190_000 < of_runs <= 200_000
    assert 0 < of_blobs <= 50_000
    assert "4399" in kept(store)
    assert store.client.exists(f"{store.prefix}log:3999:1")
    assert counted(store) == counted_anew(store)


def test_what_is_larger_than_all_may_be_takes_the_place_of_nothing_else(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP_RECORD_BYTES=100_000, RUNS_KEEP_BYTES=10_000)
    store.tell(*(ended(number) for number in range(50)), blobs=(("log:0001:1", b"x" * 100),))
    # Anybody who writes into the broker may have made it up.
    store.tell(ended(50, e="x" * 1_000_000, q="ü" * 1_000_000), blobs=(("log:0050:1", b"x" * 20_000),))
    assert len(kept(store)) == 51
    assert [name for name in store.names() if name.startswith("log:")] == ["log:0001:1"]
    assert counted(store) == counted_anew(store)
    # Of all, the newest stays.
    store.set(RUNS_KEEP_RECORD_BYTES=1)
    sweep(store)
    assert list(kept(store)) == ["0050"]
    store.tell(ended(51, r="x" * 1000))
    assert list(kept(store)) == ["0051"]
    assert counted(store) == counted_anew(store)


def test_of_many_runs_a_sample_is_counted_anew(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP=10_000, RUNS_KEEP_RECORD_BYTES=20_000_000, RUNS_KEEP_BYTES=10_000_000)
    for first in range(0, 6000, 500):
        numbers = range(first, first + 500)
        blobs = tuple((f"log:{number:04}:1", b"x" * (number % 100 + 1)) for number in numbers)
        store.tell(*(ended(number, r="x" * (number % 1000)) for number in numbers), blobs=blobs)
    assert counted(store) == pytest.approx(counted_anew(store), rel=0.05)


@pytest.mark.parametrize("odd", [b"", b"many", b"1 2 3", b"-1 5", b"nan inf"])
def test_what_is_no_count_is_counted_anew(redis_url: str, odd: bytes) -> None:
    store = Store(redis_url)
    store.tell(*(ended(number) for number in range(20)), blobs=(("log:0001:1", b"x" * 100),))
    right = counted(store)
    for name in ("counted", "cut"):
        store.client.set(f"{store.prefix}{name}", odd)
    store.tell(ended(19))
    assert counted(store) == right
    store.set(RUNS_KEEP_RECORD_BYTES=5_000)
    sweep(store)
    assert counted(store)[0] <= 5_000


def test_what_goes_by_itself_stays_in_no_index_and_in_no_count(redis_url: str) -> None:
    store = Store(redis_url)
    numbers = range(30)
    blobs = tuple((f"log:{number:04}:1", b"x" * 200) for number in numbers)
    store.tell(*(ended(number, state="failed") for number in numbers), blobs=blobs)
    # It is trimmed before it expires, and what has expired leaves no index behind that others are added to.
    lives = {name: store.client.ttl(f"{store.prefix}{name}") for name in store.names()}
    assert lives.pop("counted") <= 36_000 + 3600
    assert 36_000 + 3500 < min(lives.values()) <= max(lives.values()) <= 36_000 + 3600
    store.client.expire(f"{store.prefix}all", 100)
    counted_anew(store)
    assert 0 < store.client.ttl(f"{store.prefix}counted") <= 100
    # Or by a redis that is full, or a hand.
    for number in range(20):
        store.client.delete(f"{store.prefix}run:{number:04}", f"{store.prefix}log:{number:04}:1")
    before = counted(store)
    store.set(RUNS_KEEP=10)
    sweep(store)
    assert len(kept(store)) == 10
    assert counted(store) < before
    indexes = ("all", "state:failed", "task:shop.t0", "task:shop.t1", "task:shop.t2")
    assert [store.client.zcard(f"{store.prefix}{name}") for name in indexes] == [10, 10, 3, 3, 4]
    # It is counted each day.
    assert 0 < store.client.ttl(f"{store.prefix}counted") <= 86_400
    assert counted_anew(store)[1] == counted(store)[1] < before[1]
    assert store.client.zcard(f"{store.prefix}blobs") == 30
    store.grow_older(36_000 + 3600)
    store.tell(ended(4000))
    assert store.client.zcard(f"{store.prefix}blobs") == 0


def test_many_writers_in_any_order_agree_on_what_there_is(redis_url: str) -> None:
    first = Store(redis_url, RUNS_KEEP=60, RUNS_KEEP_RECORD_BYTES=40_000, RUNS_KEEP_BYTES=20_000)
    # One of them has settings of before, as while a new version is rolled out.
    other = Store(redis_url, PROJECT_ID=first.prefix.split(":")[1], RUNS_KEEP=60, RUNS_KEEP_BYTES=20_000)
    dice = random.Random(7)
    for step in range(400):
        number = max(0, step // 4 - dice.randrange(20))
        state = dice.choice(("waiting", "running", "failed", "succeeded", "dead", "given back"))
        fields = {"r": "ü" * dice.randrange(1000)} if state == "succeeded" else {"e": "x" * dice.randrange(300)}
        blobs = ((f"log:{number:04}:{dice.randrange(1, 3)}", b"x" * dice.randrange(1, 3000)),)
        dice.choice((first, other)).tell(
            {**ended(number, state=state, **fields), "n": dice.randrange(1, 4)},
            blobs=blobs[: dice.randrange(2)],
        )
        if step == 200:
            first.client.delete(*first.client.keys(f"{first.prefix}*"))
        if step % 20 == 0:
            sweep(first)
            found = counted(first)
            assert found[0] <= 40_000
            assert found[1] <= 20_000
            assert found == counted_anew(first), step
            kept(first)


def test_what_others_have_put_in_the_place_of_a_log_or_a_run_keeps_nothing_from_being_written(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP=2)
    store.tell(ended(0), ended(1), blobs=(("log:0000:1", b"x"), ("body:0001", b"y")))
    for name in ("log:0000:1", "body:0001", "run:0001", "log:0001:1"):
        store.client.delete(f"{store.prefix}{name}")
        store.client.lpush(f"{store.prefix}{name}", "odd")
    store.tell(ended(1), ended(2), blobs=(("log:0001:1", b"x" * 400), ("log:0002:1", b"x" * 400)))
    store.tell(ended(3), blobs=(("log:0003:1", b"x" * 400),))
    assert list(kept(store)) == ["0002", "0003"]
    assert [name for name in store.names() if name.startswith("log:")] == ["log:0002:1", "log:0003:1"]


def test_names_of_tasks_that_are_made_up_for_each_run_count_as_often_as_redis_has_them(redis_url: str) -> None:
    store = Store(redis_url, RUNS_KEEP_RECORD_BYTES=100_000)
    for number in range(60):
        store.tell(event("dead", number, task_id=f"{number:04}", ts=NOW + number, t=f"{number:04}{'x' * 2000}"))
        assert counted(store)[0] <= 100_000
    assert 10 < len(store.listed()) < 16, "each has the name in its record, in the set of all, and as an index"
    assert store.client.scard(f"{store.prefix}tasks") == len(store.listed())
    sizes = [store.client.memory_usage(f"{store.prefix}{name}") for name in store.names()]
    assert sum(sizes) < 150_000
    assert counted(store) == counted_anew(store)
