"""An event reaches the handlers of other plugins: in workers, and in the process that emits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import redis
from starlette.testclient import TestClient

from opa import OpaError, emit_sync, get_instance, state
from opa.events.names import FAN_OUT
from tests.events.shop import write
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, lasting_task_project, task_project


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskProject]:
    with lasting_task_project(tmp_path_factory) as tasks:
        write(tasks, database(tasks.broker, 3))
        tasks.worker("-c 2")
        with tasks.sending() as client:
            state["client"] = client
            yield tasks


def database(url: str, number: int) -> str:
    """The URL of another database of the same redis."""
    return f"{url.rpartition('/')[0]}/{number}"


@pytest.fixture
def client(tasks: TaskProject) -> TestClient:
    state["here"] = []
    seen(tasks).flushdb()
    client: TestClient = state["client"]
    return client


def seen(tasks: TaskProject) -> Any:
    return redis.Redis.from_url(database(tasks.broker, 3), decode_responses=True)


def handled(tasks: TaskProject, handler: str, count: int) -> list[str]:
    """What a handler has seen, once it has seen so many."""

    def seen_by_now() -> list[str]:
        found: list[str] = seen(tasks).lrange(f"seen:{handler}", 0, -1)
        return found if len(found) >= count else []

    return wait_until(seen_by_now)


def dead(tasks: TaskProject) -> list[str]:
    client: Any = redis.Redis.from_url(tasks.broker, decode_responses=True)
    found: list[str] = client.lrange("opa.dead", 0, -1)
    return found


def test_an_event_reaches_each_handler_as_its_parameters_say(tasks: TaskProject, client: TestClient) -> None:
    event = client.post("/orders/7").json()
    assert UUID(event)
    assert handled(tasks, "model", 1) == ["Order(number=7)"]
    assert handled(tasks, "wrapped", 1) == ["number=7"]
    assert handled(tasks, "json", 1) == [str(({"number": 7}, event, "orders.created", 3))]
    sync = client.post("/orders/8/sync").json()
    assert handled(tasks, "json", 2)[1] == str(({"number": 8}, sync, "orders.created", 3))
    with pytest.raises(OpaError):
        emit_sync("orders.paid", (1,))
    emit_sync("news.of-all", ["\ud800", "ä"])
    assert "news.of-all" in handled(tasks, "json", 3)[2]


def test_a_handler_that_always_fails_ends_in_the_dead_letters_and_holds_up_no_other(
    tasks: TaskProject, client: TestClient
) -> None:
    event = client.post("/orders/9").json()
    assert handled(tasks, "model", 1)
    # It is kept under the id that is made of event and handler, once, and can be sent again.
    task = str(uuid5(UUID(event), "shop.events.fails"))
    wait_until(lambda: any(task in letter for letter in dead(tasks)))
    assert sum(task in letter for letter in dead(tasks)) == 1
    assert not any(str(uuid5(UUID(event), f"shop.events.{name}")) in str(dead(tasks)) for name in ("model", "json"))

    # The record of its run says for which event it ran.
    def record() -> dict[str, Any]:
        found = [seen(tasks).get(key) for key in seen(tasks).keys(f"opa:*:runs:run:{task}")]
        return json.loads(found[0]) if found else {}

    wait_until(lambda: record().get("ev") == "orders.created", what=lambda: str(record()))


def test_an_event_that_is_delivered_twice_sends_no_handler_twice(tasks: TaskProject, client: TestClient) -> None:
    message: dict[str, Any] = {
        "id": str(uuid4()),
        "name": "orders.paid",
        "emitted_at": "2026-11-30T08:00:00+00:00",
        "payload": 1,
    }
    celery = get_instance("celery")
    for _ in range(3):
        celery.send_task(FAN_OUT, [message])
    emit_sync("orders.paid", 2)
    emit_sync("orders.paid", 3)
    wait_until(lambda: "(3, " in str(handled(tasks, "json", 1)))
    found = handled(tasks, "json", 3)
    assert sum(message["id"] in line for line in found) == 1
    assert 0 < seen(tasks).ttl(f"opa:opa-stack:events:{message['id']}") <= 86_400


def test_what_is_emitted_twice_with_the_same_key_is_one_event(tasks: TaskProject, client: TestClient) -> None:
    key = f"\ud800 {uuid4()}"
    ids = [emit_sync("orders.paid", number, idempotency_key=key).id for number in range(3)]
    others = [
        emit_sync("orders.lost", 4, idempotency_key=key).id,
        emit_sync("orders.paid", 5, idempotency_key=f"{key}!").id,
        emit_sync("orders.paid", 6).id,
    ]
    assert len(set(ids)) == 1
    assert len({*ids, *others}) == 4
    wait_until(lambda: all(id_ in str(handled(tasks, "json", 4)) for id_ in others))
    assert sum(ids[0] in line for line in handled(tasks, "json", 4)) == 1
    assert seen(tasks).ttl(f"opa:opa-stack:events:{ids[0]}") > 86_400
    for wrong in ("", 7):
        with pytest.raises(OpaError, match="the idempotency_key is not a text, or is empty"):
            emit_sync("orders.paid", idempotency_key=wrong)  # type: ignore[arg-type]


def test_a_payload_that_does_not_fit_a_handler_is_refused_where_it_is_emitted(
    tasks: TaskProject, client: TestClient
) -> None:
    with pytest.raises(OpaError, match=r"does not fit the handler shop.events.model: number: Input should be") as told:
        client.post("/wrong")
    assert str(told.value.where).startswith(str(tasks.folder / "plugins" / "shop" / "events.py"))
    assert "many" not in str(told.value)
    assert state["here"] == []
    for name in ("", "orders.*", "a b"):
        with pytest.raises(OpaError, match="is no name of an event"):
            emit_sync(name)


def test_handlers_here_run_after_the_answer_and_their_errors_are_told(
    tasks: TaskProject, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.post("/orders/5")
    assert state["here"] == ["answered", "async 5", "def orders.created"]
    state["here"] = []
    client.post("/orders/6/sync")
    assert state["here"] == ["async 6", "def orders.created"]
    state["here"] = []
    with client.websocket_connect("/live") as websocket:
        assert websocket.receive_json() == ["async 1", "def orders.created"]
    assert "the handler shop.events.here_too of the event 'orders.created'" in "".join(capsys.readouterr())


def test_a_handler_here_that_changes_the_payload_or_exits_harms_no_other(
    tasks: TaskProject, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.post("/paid").status_code == 200
    assert state["here"] == [[1]]
    assert "the handler shop.events.changes of the event 'bills.changed'" in "".join(capsys.readouterr())


def test_outside_of_a_request_emit_sync_refuses_what_it_cannot_run(tasks: TaskProject, client: TestClient) -> None:
    with pytest.raises(OpaError, match=r"cannot run the handler shop.events.here, an async def of here=True"):
        emit_sync("orders.created", {"number": 4711})
    emit_sync("news.of-all", "behind it")
    wait_until(lambda: any("behind it" in each for each in seen(tasks).lrange("seen:json", 0, -1)))
    assert not any("4711" in each for each in seen(tasks).lrange("seen:json", 0, -1))


def test_without_a_broker_a_route_answers_503_and_nothing_runs_here(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    server = start_redis()
    with task_project(project, broker=f"{server.url}/1", backend=f"{server.url}/2") as mine:
        write(mine, f"{server.url}/3")
        state["here"] = []
        with project.client(raise_server_exceptions=False) as client:
            server.kill()
            assert client.post("/orders/1").status_code == 503
            assert client.post("/orders/1/sync").status_code == 503
            assert state["here"] == []
