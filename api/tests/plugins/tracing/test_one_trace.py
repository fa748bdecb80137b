"""One trace over the api, the broker, the worker and its components; the collector is in the process of the test."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.no_answer import NO_ANSWER
from tests.otlp_receiver import ReceivedSpan, Receiver, otlp_receiver
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import free_port, wait_until
from tests.tasks.workers import TaskProject, Worker, lasting_task_project

pytestmark = pytest.mark.docker

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5

ORDERS = """
import asyncio
import os

from fastapi import WebSocket
from fastapi.responses import StreamingResponse
from opa import get_instance, get_router, log, task

router = get_router()


@task(schedule=1.0)
def sweep():
    get_instance("walrus").incr("swept")


@task
def ship(number):
    log.info("ships it")
    walrus = get_instance("walrus")
    walrus.set("card-key", "4111-card")
    with walrus.pipeline() as pipeline:
        pipeline.set("first", "4111-card").incr("second").execute()
    return os.getpid()


@task
async def bill(number):
    await get_instance("aioredis").set("card-key", "4111-card")
    await ship.send(number)


@task(bind=True, max_retries=2, default_retry_delay=0)
def wobbly(self):
    if self.request.retries < 2:
        raise self.retry(exc=ValueError("not yet"))


@task
def broken():
    raise ValueError("the password=hunter2-in-error is wrong")


@router.post("/orders/{number}")
async def order(number: int):
    log.info("takes it")
    await get_instance("aioredis").get("card-key")
    await ship.send(number)
    await bill.send(number)
    return os.getpid()


@router.post("/in-thread/{number}")
def in_thread(number: int):
    get_instance("walrus").get("card-key")
    ship.delay(number)


@router.post("/wobbly")
async def start_wobbly():
    await wobbly.send()


@router.post("/broken")
async def start_broken():
    await broken.send()


@router.get("/fails/{what}")
async def fails(what: str):
    raise ValueError("postgres://someone:hunter2-in-url@db cannot be reached")


@router.get("/documents")
async def documents():
    found = get_instance("mongodb")["traced"]["things"]
    await found.insert_one({"card": "4111-card"})
    return [each async for each in found.find({"card": "4111-card"}, {"_id": 0})]


@router.get("/events")
async def events():
    async def parts():
        for part in range(3):
            await asyncio.sleep(0.05)
            yield f"data: {part}\\n\\n"
    return StreamingResponse(parts(), media_type="text/event-stream")


@router.websocket("/talk/{room}")
async def talk(websocket: WebSocket, room: str):
    await websocket.accept()
    await websocket.send_text(room)
    await websocket.close()
"""


@dataclass
class Stack:
    """An api of two processes, a worker with two children, and a beat."""

    receiver: Receiver
    tasks: TaskProject
    port: int
    api: Worker
    worker: Worker

    def ask(self, path: str, method: str = "GET", **headers: str) -> int:
        """The status of the answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def trace_of(self, path: str, method: str = "GET", *, until: int = 1, **headers: str) -> Trace:
        """Ask with a trace of the client's own, and wait until `until` spans of tasks that have run are there."""
        number = f"{self.port:08x}{len(self.receiver.spans):08x}{id(headers) & 0xFFFFFFFF:08x}{1:08x}"
        self.ask(path, method, traceparent=f"00-{number}-00000000000000aa-01", **headers)
        trace = Trace(number, self.receiver)
        wait_until(
            lambda: trace.kind(SERVER) and len(trace.kind(CONSUMER)) >= until,
            seconds=60,
            what=lambda: f"{[span.name for span in trace.spans]}\n{self.api.log}\n{self.worker.log}",
        )
        return trace


@dataclass
class Trace:
    """The spans that have come of one trace."""

    number: str
    receiver: Receiver

    @property
    def spans(self) -> list[ReceivedSpan]:
        return [span for span in list(self.receiver.spans) if span.trace_id == self.number]

    def kind(self, kind: int) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.kind == kind]

    def one(self, name: str) -> ReceivedSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def above(self, span: ReceivedSpan) -> list[str]:
        """The names of the spans that it is inside of, without those of FastAPI's steps."""
        by_id = {each.span_id: each for each in self.spans}
        names = []
        while span.parent_id in by_id:
            span = by_id[span.parent_id]
            if not span.name.startswith("fastapi."):
                names.append(span.name)
        return names


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, redis_url: str, mongo_url: str
) -> Iterator[Stack]:
    with (
        otlp_receiver() as receiver,
        lasting_task_project(tmp_path_factory, broker=rabbitmq.virtual_host(), backend=f"{redis_url}/2") as tasks,
    ):
        tasks.plugin("orders.py", ORDERS)
        project: Project = tasks.project
        project.component("WALRUS", "redis-walrus", URL=f"{redis_url}/3")
        project.component("AIOREDIS", "redis-aioredis", URL=f"{redis_url}/3")
        project.component("MONGODB", "mongodb-async-motor", URL=mongo_url)
        project.settings(PROJECT_NAME="shop", REQUEST_ID=True, ACCESS_LOG=True)
        port = free_port()
        environ = receiver.environment(OTEL_EXPORTER_OTLP_HEADERS="x-collector=collector-key-77")
        api = tasks.start(MODE="api", OPA_PORT=str(port), WEB_CONCURRENCY="2", **environ)
        worker = tasks.worker("-c 2", **environ)
        tasks.start(MODE="beat", **environ)
        stack = Stack(receiver, tasks, port, api, worker)
        wait_until(lambda: _answers(stack), seconds=90, what=lambda: api.log)
        yield stack


def _answers(stack: Stack) -> bool:
    try:
        return stack.ask("/readyz") == 200
    except NO_ANSWER:
        return False


def test_a_trace_goes_from_the_request_into_the_task_and_its_redis_call(stack: Stack) -> None:
    trace = stack.trace_of("/orders/7", "POST", until=3)
    request = trace.one("POST /orders/{number}")
    assert request.parent_id == "00000000000000aa"
    assert (request.service, request.kind) == ("shop-api", SERVER)
    expected = {"http.route": "/orders/{number}", "http.response.status_code": 200, "opa.plugin": "orders"}
    assert expected.items() <= request.attributes.items()
    assert request.attributes["opa.request_id"]
    assert trace.above(trace.one("GET")) == ["POST /orders/{number}"]
    ships = [span for span in trace.kind(CONSUMER) if span.name == "run orders.ship"]
    paths = sorted(trace.above(span) for span in ships)
    to_bill = ["run orders.bill", "send orders.bill", "POST /orders/{number}"]
    assert paths == [["send orders.ship", "POST /orders/{number}"], ["send orders.ship", *to_bill]]
    run = ships[0]
    expected = {
        "opa.task": "orders.ship",
        "opa.plugin": "orders",
        "opa.task.retries": 0,
        "opa.task.state": "SUCCESS",
        "opa.request_id": request.attributes["opa.request_id"],
    }
    assert expected.items() <= run.attributes.items()
    assert run.service == "shop-worker"
    assert run.attributes["messaging.destination.name"]
    calls = [span for span in trace.kind(CLIENT) if span.parent_id == run.span_id]
    assert {"SET", "SET INCRBY"} <= {span.name for span in calls}
    assert [span.attributes["db.statement"] for span in calls if span.name == "SET"][:1] == ["SET ? ?"]
    # That of an `async def` task, on the loop of its process.
    assert any(trace.above(span)[:1] == ["run orders.bill"] for span in trace.kind(CLIENT) if span.name == "SET")


def test_a_route_in_a_thread_belongs_to_its_request(stack: Stack) -> None:
    trace = stack.trace_of("/in-thread/7", "POST")
    assert trace.above(trace.one("run orders.ship")) == ["send orders.ship", "POST /in-thread/{number}"]
    assert trace.above(trace.one("GET")) == ["POST /in-thread/{number}"]


def test_all_runs_of_a_task_belong_to_its_send_with_links_to_the_run_before(stack: Stack) -> None:
    trace = stack.trace_of("/wobbly", "POST", until=3)
    runs = sorted(trace.kind(CONSUMER), key=lambda span: span.attributes["opa.task.retries"])
    assert [span.attributes["opa.task.retries"] for span in runs] == [0, 1, 2]
    assert {span.parent_id for span in runs} == {trace.one("send orders.wobbly").span_id}
    assert [span.links for span in runs] == [(), (runs[0].span_id,), (runs[1].span_id,)]
    assert [span.attributes["opa.task.state"] for span in runs] == ["RETRY", "RETRY", "SUCCESS"]
    assert [name for name, _ in runs[0].events] == ["retry"]


def test_errors_are_in_the_span_without_secrets(stack: Stack) -> None:
    trace = stack.trace_of("/broken", "POST")
    run = trace.one("run orders.broken")
    assert run.is_error
    assert run.attributes["error.type"] == "ValueError"
    ((name, error),) = run.events
    assert (name, error["exception.type"]) == ("exception", "ValueError")
    assert error["exception.message"].startswith("the password=")
    trace = stack.trace_of("/fails/this?token=hunter2-in-query", until=0)
    request = trace.one("GET /fails/{what}")
    assert request.is_error
    assert request.attributes["http.response.status_code"] == 500
    assert request.attributes["opa.plugin"] == "orders"
    ((_, error),) = request.events
    assert error["exception.message"] == "postgres://someone:***@db cannot be reached"
    assert "in fails" in error["exception.stacktrace"]


def test_commands_of_mongo_are_spans_without_documents(stack: Stack) -> None:
    trace = stack.trace_of("/documents", until=0)
    wait_until(lambda: [span.name for span in trace.kind(CLIENT)] == ["insert things", "find things"], seconds=30)
    insert = trace.one("insert things")
    assert trace.above(insert) == ["GET /documents"]
    expected = {"db.system": "mongodb", "db.name": "traced", "db.mongodb.collection": "things"}
    assert expected.items() <= insert.attributes.items()


def test_a_stream_is_one_span(stack: Stack) -> None:
    trace = stack.trace_of("/events", until=0)
    assert trace.one("GET /events").attributes["http.response.status_code"] == 200


def test_a_websocket_is_one_span(stack: Stack) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{stack.port}/talk/red") as websocket:
        assert websocket.recv() == "red"
    span = wait_until(lambda: stack.receiver.named("WS /talk/{room}"), seconds=30)[0]
    assert span.attributes["opa.plugin"] == "orders"
    assert not span.is_error


def test_what_beat_sends_is_a_trace_of_its_own(stack: Stack) -> None:
    sent = wait_until(lambda: stack.receiver.named("send orders.sweep"), seconds=60)[0]
    assert (sent.parent_id, sent.service) == ("", "shop-beat")
    trace = Trace(sent.trace_id, stack.receiver)
    wait_until(lambda: {"send orders.sweep", "run orders.sweep"} <= {span.name for span in trace.spans}, seconds=30)
    assert trace.above(trace.one("run orders.sweep")) == ["send orders.sweep"]


def test_lines_of_the_log_have_the_ids(stack: Stack) -> None:
    trace = stack.trace_of("/orders/8", "POST", until=3)
    of_trace = [line for line in stack.api.lines if line.get("extra", {}).get("trace_id") == trace.number]
    assert any(line["message"] == "takes it" and line["extra"]["span_id"] for line in of_trace)
    assert any(line["logger"] == "uvicorn.access" for line in of_trace)
    run_ids = {span.span_id for span in trace.kind(CONSUMER)}
    lines = [line for line in stack.worker.lines if line["message"] == "ships it"]
    assert any(line["extra"]["trace_id"] == trace.number and line["extra"]["span_id"] in run_ids for line in lines)


def test_who_watches_is_not_traced_and_nothing_is_without_a_cause(stack: Stack) -> None:
    stack.ask("/healthz")
    stack.trace_of("/orders/9", "POST", until=3)
    paths = {span.attributes.get("url.path") for span in list(stack.receiver.spans)}
    assert paths.isdisjoint({"/healthz", "/readyz"})
    roots = {span.kind for span in list(stack.receiver.spans) if not span.parent_id}
    assert roots <= {SERVER, PRODUCER}


def test_a_client_may_say_that_its_trace_is_not_sampled(stack: Stack) -> None:
    number = "0af7651916cd43dd8448eb211c80319c"
    stack.ask("/orders/5", "POST", traceparent=f"00-{number}-00000000000000aa-00")
    stack.trace_of("/orders/6", "POST", until=3)
    assert not Trace(number, stack.receiver).spans


@pytest.mark.parametrize("header", ["", "00-", "ff-" + "0" * 32, "00-" + "g" * 32 + "-00000000000000aa-01", "é" * 5000])
def test_a_malformed_traceparent_does_no_harm(stack: Stack, header: str) -> None:
    assert stack.ask("/orders/1", "POST", traceparent=header.encode().decode("latin-1")) == 200


def test_a_killed_child_loses_its_spans_alone(stack: Stack) -> None:
    """Last but one, since it counts children."""
    import os
    import signal

    for child in stack.worker.children:
        os.kill(child, signal.SIGKILL)
    trace = stack.trace_of("/in-thread/1", "POST")
    assert trace.above(trace.one("run orders.ship")) == ["send orders.ship", "POST /in-thread/{number}"]


def test_spans_are_sent_at_the_end_and_secrets_never(stack: Stack, tmp_path: Path) -> None:
    """Last, since it stops the api and the worker."""
    environ: dict[str, Any] = stack.receiver.environment(OTEL_BSP_SCHEDULE_DELAY="600000")
    port = free_port()
    api = stack.tasks.start(MODE="api", OPA_PORT=str(port), WEB_CONCURRENCY="1", **environ)
    late = Stack(stack.receiver, stack.tasks, port, api, stack.worker)
    wait_until(lambda: _answers(late), seconds=90, what=lambda: api.log)
    number = "0af7651916cd43dd8448eb211c80319d"
    assert late.ask("/in-thread/1", "POST", traceparent=f"00-{number}-00000000000000aa-01") == 200
    api.stop()
    assert Trace(number, stack.receiver).one("POST /in-thread/{number}")
    assert stack.worker.stop() == 0
    assert stack.api.stop() == 0
    sent = b"".join(stack.receiver.raw)
    for secret in (b"4111-card", b"hunter2", b"card-key", b"collector-key-77"):
        assert secret not in sent
    assert "collector-key-77" not in stack.api.log + stack.worker.log
    assert {headers["x-collector"] for headers in stack.receiver.headers if "x-collector" in headers} == {
        "collector-key-77"
    }
