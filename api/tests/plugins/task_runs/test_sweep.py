"""What becomes of runs of which nobody tells any more: worker and queue are gone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from opa.plugins.task_runs import sweep as sweeping
from opa.plugins.task_runs.names import GIVEN_BACK, LOST, MISSING_TIME, RETRYING, UNHEARD_TIME, WAITING, WORKER_LIFE
from opa.plugins.task_runs.scripts import BEAT
from tests.plugins.task_runs.test_store import Store


class Broker:
    """Results, lengths of queues, and what workers have in hand; runs are of redis."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = Store(url, RUNS_KEEP_AGE=604_800)
        self.results: dict[str, tuple[str, float]] = {}
        self.lengths: dict[str, int] | None = {"celery": 0}
        monkeypatch.setattr(sweeping, "queue_lengths", self._lengths)
        celery = SimpleNamespace(AsyncResult=self._result)
        self._manager: Any = SimpleNamespace(celery=celery, config=SimpleNamespace(TASK_DELIVERY_LIMIT=5))

    def _lengths(self) -> dict[str, int]:
        if self.lengths is None:
            raise ConnectionRefusedError
        return self.lengths

    def _result(self, task_id: str) -> Any:
        state, at = self.results.get(task_id, ("PENDING", 0))
        return SimpleNamespace(state=state, date_done=datetime.fromtimestamp(at, UTC) if at else None)

    def waits(self, task_id: str, seconds: float, state: str = WAITING, **fields: Any) -> None:
        at = time.time() - seconds
        more = {"z": 1} if fields.pop("z", 0) else {}
        found = {"t": "shop.add", "q": "celery", "ts": at, **fields}
        self.store.tell({"i": task_id, "s": state, "a": at, "n": 1, "f": found, **more})

    def sweep(self, *, later: bool = False) -> None:
        client = self.store.client
        key = f"{self.store.prefix}gone"
        if later:
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: score - MISSING_TIME - 1})
        sweeping.sweep(client, self._manager, self.store.limits)

    def record(self, task_id: str) -> Any:
        return json.loads(self.store.client.get(f"{self.store.prefix}run:{task_id}"))


@pytest.fixture
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    broker = Broker(redis_url, monkeypatch)
    yield broker
    broker.store.client.close()


@pytest.mark.parametrize("state", [WAITING, GIVEN_BACK, RETRYING])
def test_a_run_that_no_queue_and_no_worker_has_is_lost(broker: Broker, state: str) -> None:
    broker.waits("old", UNHEARD_TIME[state] + 1, state)
    broker.waits("young", UNHEARD_TIME[state] - 60, state)
    broker.sweep()
    assert broker.record("old")["s"] == state, "it may be on its way to a worker"
    broker.sweep(later=True)
    assert broker.record("old")["s"] == LOST
    assert broker.record("old")["y"] == "no queue and no worker has it"
    assert broker.record("young")["s"] == state
    broker.store.tell({"i": "old", "s": "running", "a": time.time(), "n": 1, "f": {"k": "late"}})
    assert broker.record("old")["s"] == "running", "it was not lost after all"


def test_a_run_that_may_be_somewhere_still_waits(broker: Broker) -> None:
    broker.lengths = {"celery": 0, "long": 1}
    broker.waits("queued", 9000, q="long")
    broker.waits("elsewhere", 9000, q="another project's")
    broker.waits("later", 9000, u=time.time() - 60)
    broker.waits("in hand", 9000)
    beat = broker.store.client.register_script(BEAT)
    beat(keys=[], args=[broker.store.prefix, "worker", "host", WORKER_LIFE, "in hand"])
    for _ in range(2):
        broker.sweep(later=True)
    assert {broker.record(each)["s"] for each in ("queued", "elsewhere", "later", "in hand")} == {WAITING}
    broker.lengths = None  # the broker does not answer
    broker.store.client.zrem(f"{broker.store.prefix}held", "in hand")
    for _ in range(2):
        broker.sweep(later=True)
    assert broker.record("in hand")["s"] == WAITING
    broker.lengths = {"celery": 0, "long": 0}
    for _ in range(2):
        broker.sweep(later=True)
    assert [broker.record(each)["s"] for each in ("queued", "in hand", "later")] == [LOST, LOST, WAITING]


def test_a_run_that_has_ended_unheard_is_what_its_result_says(broker: Broker) -> None:
    for task_id in ("done", "failed", "young", "again", "again done"):
        broker.waits(task_id, 30 if task_id == "young" else 90, z="again" in task_id)
    broker.results = {
        "done": ("SUCCESS", time.time()),
        "failed": ("FAILURE", time.time()),
        "young": ("SUCCESS", time.time()),
        "again": ("FAILURE", time.time() - 1000),  # of its run before it was sent again
        "again done": ("SUCCESS", time.time()),
    }
    broker.sweep()
    states = [broker.record(task_id)["s"] for task_id in broker.results]
    assert states == ["succeeded", "failed", WAITING, WAITING, "succeeded"]


def test_what_was_told_meanwhile_is_not_overwritten(broker: Broker) -> None:
    broker.waits("a", 90)
    broker.results = {"a": ("FAILURE", time.time())}
    real = broker._result

    def told_meanwhile(task_id: str) -> Any:
        broker.store.tell({"i": "a", "s": "running", "a": time.time(), "n": 1, "f": {"k": "w"}})
        return real(task_id)

    broker._manager.celery.AsyncResult = told_meanwhile
    broker.sweep()
    assert broker.record("a")["s"] == "running"


def test_a_limit_that_was_made_lower_holds_after_one_look_though_nothing_is_written(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "TRIM_TIME", 60)
    store = broker.store
    store.set(RUNS_KEEP=10_000)
    for first in range(0, 3000, 500):
        numbers = range(first, first + 500)
        events = [{"s": "succeeded", "n": 1, "f": {"t": "shop.add", "r": "x" * 300}} for _ in numbers]
        blobs = tuple((f"log:{number}:1", b"x") for number in numbers)
        store.tell(*({"i": str(number), **each} for number, each in zip(numbers, events, strict=True)), blobs=blobs)
    store.set(RUNS_KEEP_RECORD_BYTES=200_000, RUNS_KEEP_BYTES=50_000)
    broker.sweep()
    of_runs, of_blobs = map(int, store.client.get(f"{store.prefix}counted").split())
    assert 190_000 < of_runs <= 200_000
    assert 45_000 < of_blobs <= 50_000
    store.set(RUNS_KEEP=2)
    broker.sweep()
    assert len(store.listed()) == 2


def test_records_that_others_have_written_end_no_look(broker: Broker) -> None:
    broker.waits("good", 9000)
    for number, text in enumerate(('{"s":"waiting","n":1,"a":5,"q":["x"]}', '{"s":"waiting","n":1,"a":5,"u":"soon"}')):
        broker.store.client.set(f"{broker.store.prefix}run:bad{number}", text)
        broker.store.client.zadd(f"{broker.store.prefix}state:waiting", {f"bad{number}": 1})
    broker.store.client.zadd(f"{broker.store.prefix}state:waiting", {"none": 1})
    for _ in range(2):
        broker.sweep(later=True)
    assert broker.record("good")["s"] == LOST
