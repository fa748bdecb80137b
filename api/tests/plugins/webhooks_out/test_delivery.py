"""Events reach the receivers in WEBHOOKS_OUT, signed, whatever these do; a real worker posts them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import redis
from fastapi import FastAPI
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from opa import DeadLetters, Event, Signed, emit_sync, get_instance, get_plugin_manager
from opa.events.names import FAN_OUT
from tests.http.webhooks.receiver import Received, Receiver
from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject, Worker, lasting_task_project

SECRET, FORMER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_aGVyZSBpcyBhIHNlY3JldCBvZiBmb3JtZXIgdGltZXM="
# A day of retries in a moment, in the worker alone.
FAST = """
    import os
    from opa.http.webhooks import posting
    from opa.plugins.webhooks_out import delivery, silence

    if os.environ.get("MODE") == "worker":
        delivery.PAUSES = (0, 0, 0)
        delivery.LONGEST_IN_WORKER = 0.5
        posting.TIME_LIMIT = 1
        silence.TOLERATED = 1
        silence.QUICK = 0.5
        silence.FIRST_PAUSE = silence.LONGEST_PAUSE = 3600
"""
NAMES = ("fine", "fails", "gone", "moved", "later", "rotated", "dead", "slow", "hangs", "other")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[tuple[TaskProject, Worker]]:
    receiver.behave("/sEcRet/fails", 500, 404, 200)
    receiver.behave("/sEcRet/gone", 410)
    receiver.behave("/sEcRet/moved", 302, 200, Location=f"{receiver.address}/elsewhere")
    receiver.behave("/sEcRet/dead", 500, 500, 404, 307, 200)
    receiver.behave("/sEcRet/slow", "slow")
    receiver.behave("/sEcRet/hangs", "hang")
    receiver.behave("/sEcRet/later", 429, 200, Retry_After="2")
    hooks: dict[str, Any] = {
        name: {"ON": f"{name}.*", "URL": f"{receiver.address}/sEcRet/{name}", "SECRET": SECRET} for name in NAMES
    }
    hooks["rotated"]["SECRET"] = [SECRET, FORMER]
    hooks["other"]["ON"] = ["other", "fine.*"]
    with lasting_task_project(tmp_path_factory) as tasks:
        tasks.settings(WEBHOOKS_OUT=hooks)
        tasks.project.component("AIOREDIS", "redis-aioredis", URL=f"{tasks.broker.rpartition('/')[0]}/3")
        tasks.plugin("fast.py", FAST)
        worker = tasks.worker("-c 2")
        with tasks.sending():
            yield tasks, worker


def arrived(receiver: Receiver, name: str, count: int = 1) -> list[Received]:
    """What a receiver has got, once it has got so much."""
    return wait_until(lambda: found if len(found := receiver.at(f"/sEcRet/{name}")) >= count else [])


def dead_letters(tasks: TaskProject) -> list[str]:
    client: Any = redis.Redis.from_url(tasks.broker, decode_responses=True)
    found: list[str] = client.lrange("opa.dead", 0, -1)
    return found


def test_an_event_is_posted_to_each_webhook_that_matches_signed_as_any_receiver_verifies_it(
    worker: tuple[TaskProject, Worker], receiver: Receiver
) -> None:
    payload = {"ä": [1, None, "\ud800"], "n": 1.5}
    event = emit_sync("fine.created", payload)
    (received,) = arrived(receiver, "fine")
    (other,) = arrived(receiver, "other")
    message = json.loads(received.body)
    assert message == {"type": "fine.created", "timestamp": event.emitted_at.isoformat(), "data": payload}
    assert other.body == received.body
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == str(uuid5(UUID(event.id), "webhooks_out.fine"))
    assert other.headers["webhook-id"] != received.headers["webhook-id"]
    Webhook(SECRET).verify(received.body, received.headers)
    app = FastAPI()

    @app.post("/")
    def hook(body: bytes = Signed("standard", secret=SECRET)) -> int:
        return len(body)

    client = TestClient(app)
    assert client.post("/", content=received.body, headers=received.headers).json() == len(received.body)
    assert client.post("/", content=received.body + b" ", headers=received.headers).status_code == 401


def test_while_a_secret_is_exchanged_each_of_both_signs(worker: tuple[TaskProject, Worker], receiver: Receiver) -> None:
    emit_sync("rotated.x")
    (received,) = arrived(receiver, "rotated")
    for secret in (SECRET, FORMER):
        Webhook(secret).verify(received.body, received.headers)


def test_what_was_not_taken_is_tried_again_with_the_same_id(
    worker: tuple[TaskProject, Worker], receiver: Receiver
) -> None:
    emit_sync("fails.x", 1)
    received = arrived(receiver, "fails", 3)
    assert len({each.headers["webhook-id"] for each in received}) == 1
    assert len({each.body for each in received}) == 1
    for each in received:
        Webhook(SECRET).verify(each.body, each.headers)
    emit_sync("moved.x", 1)
    assert len(arrived(receiver, "moved", 2)) == 2
    assert not [each for each in receiver.received if "elsewhere" in each.path]


def test_a_receiver_that_asks_for_time_gets_it(worker: tuple[TaskProject, Worker], receiver: Receiver) -> None:
    emit_sync("later.x")
    first, second = arrived(receiver, "later", 2)
    sent = [int(each.headers["webhook-timestamp"]) for each in (first, second)]
    assert sent[1] - sent[0] >= 1  # whole seconds, of two


def test_a_receiver_that_is_gone_is_not_asked_again(worker: tuple[TaskProject, Worker], receiver: Receiver) -> None:
    tasks, process = worker
    event = emit_sync("gone.x")
    process.wait_until_says(f"the webhook 'gone' has not taken the event 'gone.x' {event.id}: it has answered 410")
    assert len(arrived(receiver, "gone")) == 1
    assert not any(str(uuid5(UUID(event.id), "webhooks_out.gone")) in letter for letter in dead_letters(tasks))


def test_what_is_never_taken_is_a_dead_letter_in_the_end_without_anything_secret(
    worker: tuple[TaskProject, Worker], receiver: Receiver
) -> None:
    tasks, process = worker
    event = emit_sync("dead.x", {"number": 1})
    delivery = str(uuid5(UUID(event.id), "webhooks_out.dead"))
    wait_until(lambda: any(delivery in letter for letter in dead_letters(tasks)), what=lambda: process.log)
    assert len(arrived(receiver, "dead")) == 4
    for text in (*dead_letters(tasks), process.log):
        assert "sEcRet" not in text
        assert SECRET not in text
        assert SECRET.removeprefix("whsec_") not in text
    assert asyncio.run(DeadLetters(get_plugin_manager()).send_again(delivery))
    assert {each.headers["webhook-id"] for each in arrived(receiver, "dead", 5)} == {delivery}
    assert not any(delivery in letter for letter in dead_letters(tasks))


def test_a_receiver_that_is_slow_has_one_request_at_a_time(
    worker: tuple[TaskProject, Worker], receiver: Receiver
) -> None:
    for number in range(8):
        emit_sync("slow.x", number)
    assert len(arrived(receiver, "slow", 8)) == 8
    assert receiver.most_at_once["/sEcRet/slow"] == 1


def test_a_receiver_that_hangs_is_left_alone(worker: tuple[TaskProject, Worker], receiver: Receiver) -> None:
    tasks, process = worker
    for number in range(10):
        emit_sync("hangs.x", number)
    wait_until(lambda: sum("webhooks_out.hangs" in letter for letter in dead_letters(tasks)) == 10)
    # Each process finds out by itself, and asks no more.
    assert 1 <= len(receiver.at("/sEcRet/hangs")) <= 2
    assert process.says("it is not asked for")


def test_what_is_on_its_way_to_a_webhook_that_was_removed_is_a_dead_letter(
    worker: tuple[TaskProject, Worker], receiver: Receiver
) -> None:
    tasks, process = worker
    message = Event(str(uuid4()), "fine.x", datetime.now(UTC)).message()
    get_instance("celery").send_task("webhooks_out.removed", [message, 1])
    wait_until(lambda: any("webhooks_out.removed" in letter for letter in dead_letters(tasks)))
    process.wait_until_says("webhooks_out.removed")


def test_an_event_that_is_delivered_twice_is_posted_once(
    worker: tuple[TaskProject, Worker], receiver: Receiver
) -> None:
    message = Event(str(uuid4()), "other", datetime.now(UTC), 1).message()
    for _ in range(3):
        get_instance("celery").send_task(FAN_OUT, [message])
    last = emit_sync("other", 2)
    delivery = str(uuid5(UUID(last.id), "webhooks_out.other"))
    wait_until(lambda: any(each.headers["webhook-id"] == delivery for each in receiver.at("/sEcRet/other")))
    mine = str(uuid5(UUID(message["id"]), "webhooks_out.other"))
    assert sum(each.headers["webhook-id"] == mine for each in receiver.at("/sEcRet/other")) == 1
