from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker.consumer.gossip import Gossip

from opa.tasks.worker import gossip as bounds
from opa.tasks.worker.gossip import ForeignEventError, bound

HERE = "celery@here"
FROM = {"hostname": "celery@other", "pid": 5, "clock": 1, "utcoffset": 0}
ELECTION = {**FROM, "type": "worker-elect", "topic": "task", "action": None, "cver": 1}
ANSWER = {**FROM, "type": "worker-elect-ack"}
HEARTBEAT = {**FROM, "type": "worker-heartbeat", "freq": 2.0, "active": 0, "processed": 0, "loadavg": [0.1, 0.2, 0.3]}


@pytest.fixture
def gossip() -> Any:
    """Celery's own, which no broker is needed for."""
    app = Celery(broker="redis://127.0.0.1:1", set_as_current=False)
    gossip: Any = Gossip(SimpleNamespace(app=app, hostname=HERE, pid=1, timer=None, hub=None))
    gossip.dispatcher = SimpleNamespace(send=lambda *_, **__: None)
    bound(gossip)
    return gossip


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bounds, "MAX_VOTES", 50)
    return 50


def prepared(body: Any) -> Any:
    return body["type"], {**body, "local_received": time.time()}


def hear(gossip: Any, key: str, **event: Any) -> None:
    event = {"timestamp": time.time(), **event}
    message = {"body": json.dumps(event), "payload": event, "headers": {"hostname": event.get("hostname")}}
    gossip.on_message(prepared, SimpleNamespace(**message, delivery_info={"routing_key": key}))


def size(votes: Any) -> int:
    return len(votes) + sum(map(len, votes.values()))


def test_elections_that_nobody_decides_do_not_fill_the_memory(gossip: Any, room: int) -> None:
    for number in range(300):
        hear(gossip, "worker.elect", **ELECTION, id=f"id-{number}")
    assert 0 < size(gossip.consensus_requests) <= room + 1
    assert "id-299" in gossip.consensus_requests


def test_candidates_of_one_election_do_not_fill_the_memory(gossip: Any, room: int) -> None:
    for number in range(300):
        hear(gossip, "worker.elect", **ELECTION | {"hostname": f"celery@{number}"}, id="one")
    assert size(gossip.consensus_requests) <= room + 1


def test_the_own_elections_and_answers_to_them_do_not_fill_the_memory(gossip: Any, room: int) -> None:
    for number in range(300):
        gossip.election(f"id-{number}", "task")
        hear(gossip, "worker.x", **HEARTBEAT | {"hostname": f"celery@{number}"})
    for _ in range(300):
        hear(gossip, "worker.elect.ack", **ANSWER, id="id-299")
    assert size(gossip.consensus_replies) <= room + 1


def test_events_of_tasks_and_of_workers_with_endless_names_are_not_kept(gossip: Any) -> None:
    task = {"type": "task-received", "uuid": "1", "name": "task.1"}
    foreign = [{**HEARTBEAT, **task}, {**HEARTBEAT, "hostname": "x" * 2000}, {**HEARTBEAT, "freq": "x"}]
    for event in (*foreign, {**HEARTBEAT, "sw_ident": "x" * 100_000}):
        with pytest.raises(ForeignEventError):
            hear(gossip, "worker.x", **event)
    assert not gossip.state.workers
    assert not gossip.state.tasks_by_type


@pytest.mark.parametrize("field", ["id", "hostname", "topic", "clock", "pid", "action", "cver"])
def test_an_election_without_a_field_is_none(gossip: Any, field: str) -> None:
    event = {**ELECTION, "id": "one"}
    del event[field]
    with pytest.raises(ForeignEventError):
        hear(gossip, "worker.elect", **event)
    assert not gossip.consensus_requests


def test_workers_know_one_another_and_elect_one(gossip: Any) -> None:
    done: list[Any] = []
    gossip.election_handlers["task"] = done.append
    hear(gossip, "worker.heartbeat", **HEARTBEAT)
    hear(gossip, "worker.heartbeat", **HEARTBEAT | {"hostname": "celery@third"})
    assert {worker.hostname for worker in gossip.state.alive_workers()} == {"celery@other", "celery@third"}
    gossip.election("one", "task", "sent")
    hear(gossip, "worker.elect", **ELECTION | {"hostname": HERE, "pid": 1, "clock": 1, "action": "sent"}, id="one")
    hear(gossip, "worker.elect", **ELECTION | {"clock": 2}, id="one")
    for worker in ("celery@other", "celery@third"):
        hear(gossip, "worker.elect.ack", **ANSWER | {"hostname": worker}, id="one")
    assert done == ["sent"]
    assert not gossip.consensus_requests
    assert not gossip.consensus_replies


def test_a_worker_without_gossip_is_left_alone() -> None:
    app = Celery(broker="memory://", set_as_current=False)
    gossip: Any = Gossip(SimpleNamespace(app=app, hostname=HERE, pid=1, timer=None, hub=None))
    bound(gossip)
    assert not gossip.enabled
