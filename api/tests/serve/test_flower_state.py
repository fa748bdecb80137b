from __future__ import annotations

import time
from typing import Any

import pytest
from celery import Celery
from flower import app, events

from opa.serve import flower_events, flower_state
from opa.serve.flower import _take_events_as_they_should_be
from opa.serve.flower_events import Events
from opa.serve.flower_state import BoundedInspector, State

HEARTBEAT = {"type": "worker-heartbeat", "clock": 1, "utcoffset": 0, "pid": 1, "freq": 2.0, "active": 0}
SUCCESS = {"type": "task-succeeded", "clock": 1, "utcoffset": 0, "pid": 1, "runtime": 0.1}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(flower_state, "MAX_COUNTED", 200)
    state = State(max_workers_in_memory=50, max_tasks_in_memory=50)
    # Its metrics are those of the process.
    state.metrics.remove_workers({labels[0] for labels in list(state.metrics.events._metrics)})
    return state


def heard(state: State, **fields: Any) -> None:
    now = time.time()
    state.event({"timestamp": now, "local_received": now, **fields})


def size(state: State) -> int:
    """Of all that it keeps by the names of workers and tasks."""
    metrics = [state.metrics.events, state.metrics.runtime, state.metrics.worker_online]
    indexes = [state.counter, state.tasks_by_type, state.tasks_by_worker, state.seen_names]
    return max(*(len(metric._metrics) for metric in metrics), *map(len, indexes))


def test_invented_workers_do_not_fill_the_memory_and_real_ones_stay(state: State) -> None:
    for number in range(1000):
        heard(state, **HEARTBEAT, hostname=f"celery@invented-{number}")
        heard(state, **HEARTBEAT, hostname="celery@real")
    assert size(state) <= 200
    assert state.counter["celery@real"]["worker-heartbeat"] == 1000
    assert "celery@real" in state.workers


def test_invented_workers_with_tasks_do_not_fill_the_memory(state: State) -> None:
    for number in range(1000):
        heard(state, **SUCCESS, hostname=f"celery@{number}", uuid=str(number), name=f"invented.task_{number}")
        heard(state, **HEARTBEAT, hostname="celery@real")
    assert size(state) <= 300
    assert state.counter["celery@real"]["worker-heartbeat"] == 1000


def test_invented_tasks_and_kinds_of_events_do_not_fill_the_memory(state: State) -> None:
    for number in range(1000):
        heard(state, **SUCCESS, hostname="celery@forged", uuid=str(number), name=f"invented.task_{number}")
        heard(state, **{**HEARTBEAT, "type": f"worker-{number}"}, hostname="celery@forged")
        heard(state, **HEARTBEAT, hostname="celery@real")
    assert size(state) <= 300
    assert len(state.counter["celery@forged"]) <= 200
    assert state.counter["celery@real"]["worker-heartbeat"] == 1000


def test_events_are_not_taken_faster_than_the_pages_have_them(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_events, "PATIENCE", 0.01)
    waiting = 0
    while flower_events.backlog.acquire(blocking=False):
        waiting += 1
    taken: list[Any] = []
    receiver = Events(None, handlers={"*": taken.append}, app=Celery(set_as_current=False))
    began = time.monotonic()
    receiver.process("worker-heartbeat", {"type": "worker-heartbeat"})
    assert time.monotonic() - began >= 0.01
    assert len(taken) == 1
    heard(state, **HEARTBEAT, hostname="celery@real")
    assert flower_events.backlog.acquire(blocking=False)
    for _ in range(waiting):
        flower_events.backlog.release()


def test_answers_of_invented_workers_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_state, "MAX_WORKERS", 100)
    inspector = BoundedInspector(None, None, 1.0)
    for number in range(1000):
        inspector.note_answer(f"celery@{number}", "active_queues", [])
    assert len(inspector.workers) == 100
    assert "celery@999" in inspector.workers


@pytest.mark.parametrize("method", ["stats", "active_queues", "registered", "conf"])
@pytest.mark.parametrize("answer", [5, "x", True, None])
def test_answers_that_are_none_are_not_kept(method: str, answer: Any) -> None:
    inspector = BoundedInspector(None, None, 1.0)
    inspector.note_answer("celery@a", method, answer)
    assert not inspector.workers


def test_flower_keeps_what_it_knows_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((events, "EventReceiver"), (events, "EventsState"), (app, "Inspector")):
        monkeypatch.setattr(module, name, getattr(module, name))  # as they were, afterwards
    _take_events_as_they_should_be()
    made = app.Flower(capp=Celery(set_as_current=False))
    try:
        assert isinstance(made.events.state, State)
        assert isinstance(made.inspector, BoundedInspector)
    finally:
        made.executor.shutdown()
