from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import control, state

from opa import get_plugin_manager
from opa.tasks.application import application_of
from opa.tasks.worker.command_rules import MAX_STAMPS, is_quick
from opa.tasks.worker.commands import Node
from opa.tasks.worker.state_writer import StateWriter
from tests.tasks.workers import TaskProject

NAN, INFINITE = float("nan"), float("inf")
NO_NAMES: list[Any] = [5, True, None, "", {"a": 1}, ["a"], "x" * 300, "\ud800", "a\nb"]
NO_SIZES: list[Any] = [0, -1, 1000, 2**70, 1.5, NAN, None, True, "x", "", [1], {"a": 1}]
NO_AUTOSCALES: list[Any] = [-1, 1000, 2**70, 1.5, NAN, True, "x", "", [1], {"a": 1}]
NO_LIMITS: list[Any] = [-1, -0.5, 2**70, 1e300, NAN, INFINITE, True, "x", [1], {"a": 1}]
NO_RATES: list[Any] = [
    -1,
    -0.1,
    1e-300,
    NAN,
    INFINITE,
    True,
    "x",
    "-1/m",
    "nan/s",
    "inf",
    "1e-9/h",
    "5/x",
    "/",
    [1],
    {1: 1},
]
NO_IDS: list[Any] = [5, True, None, "", {"a": 1}, [[]], [5], ["x" * 300], ["x"] * 1001]
NO_SHARED: list[Any] = [5, {"a": 1}, [[]], [5], ["x" * 300]]
NO_ATTRIBUTES: list[Any] = [5, [[]], ["x"] * 21]
NO_SIGNALS: list[Any] = ["BOGUS", "STOP", 19, 0, -9, 10**6, {"a": 1}, True]
NO_STAMPS: list[Any] = [5, "x", ["x"], {"a": {"b": 1}}, {"a": [[]]}, {"a": ["x"] * 1001}, {"": "x"}]
NO_CONSUMER: list[Any] = [
    5,
    "x",
    ["x"],
    {"x-priority": "x"},
    {"x-priority": 2**40},
    {"x-priority": True},
    {"x-bogus": 1},
]
DOUBLE = {"task_name": "jobs.double"}
REFUSED: list[tuple[str, Any]] = [
    *(("rate_limit", {**DOUBLE, "rate_limit": each}) for each in NO_RATES),
    *(("rate_limit", {"task_name": each, "rate_limit": 1}) for each in (*NO_NAMES, "jobs.unknown")),
    *(("time_limit", {**DOUBLE, which: each}) for which in ("soft", "hard") for each in NO_LIMITS),
    ("time_limit", {"task_name": "jobs.unknown", "hard": 5}),
    ("time_limit", {"hard": 5}),
    *((name, {"n": each}) for name in ("pool_grow", "pool_shrink") for each in NO_SIZES),
    ("pool_shrink", {"n": 2}),
    *(("autoscale", {which: each}) for which in ("max", "min") for each in NO_AUTOSCALES),
    ("autoscale", {"max": 0}),
    ("autoscale", {"max": 3, "min": 5}),
    *(("revoke", {"task_id": each}) for each in NO_IDS),
    *(("terminate", {"task_id": each, "signal": "TERM"}) for each in NO_IDS),
    *(("revoke", {"task_id": "a", "signal": each}) for each in NO_SIGNALS),
    ("revoke", {"task_id": "a", "terminate": "yes"}),
    *(("revoke_by_stamped_headers", {"headers": each}) for each in NO_STAMPS),
    *(("query_task", {"ids": each}) for each in NO_IDS),
    *(("hello", {"from_node": "celery@other", "revoked": each}) for each in NO_SHARED),
    *(("election", {"id": each, "topic": "task"}) for each in NO_NAMES),
    *((name, {"taskinfoitems": each}) for name in ("registered", "dump_tasks") for each in NO_ATTRIBUTES),
    *(("add_consumer", {"queue": each}) for each in (*NO_NAMES, "opa.dead")),
    ("add_consumer", {"queue": "q", "exchange": 5}),
    ("add_consumer", {"queue": "q", "routing_key": {"a": 1}}),
    ("add_consumer", {"queue": "q", "queue_arguments": 5}),
    *(("add_consumer", {"queue": "q", "consumer_arguments": each}) for each in NO_CONSUMER),
    ("add_consumer", {"queue": "q", "no_ack": True}),
    *(("cancel_consumer", {"queue": each}) for each in NO_NAMES),
    *(("ping", each) for each in ([1], "x", 5, True)),
    ("heartbeat", {"unknown": 1}),
    ("pool_restart", {}),
    *((each, {}) for each in (*NO_NAMES, "bogus", "x" * 200)),
]


class Consumer(SimpleNamespace):
    """As much of a worker as commands look at, which notes whatever is done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.conf = SimpleNamespace(worker_pool_restarts=False)
        self.tasks = {"jobs.double": SimpleNamespace(name="jobs.double", rate_limit=None)}
        self.pool = SimpleNamespace(num_processes=2, grow=self.done.append, shrink=self.done.append)
        scaler = SimpleNamespace(max_concurrency=2, min_concurrency=1)
        self.controller = SimpleNamespace(max_concurrency=2, concurrency=2, autoscaler=scaler)
        self.gossip = SimpleNamespace(election=self.note)
        self.event_dispatcher = None
        self.state_writer = StateWriter()

    def note(self, *args: Any, **_: Any) -> None:
        self.done.append(args)

    call_soon = reset_rate_limits = _update_prefetch_count = note
    add_task_queue = cancel_task_queue = note


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    before = dict(state.revoked_stamps)
    yield Consumer()
    state.revoked_stamps.clear()
    state.revoked_stamps.update(before)


@pytest.fixture
def node(consumer: Consumer) -> Node:
    worker = SimpleNamespace(app=consumer, consumer=consumer, hostname="celery@here", tset=list)
    clock = SimpleNamespace(adjust=lambda _: None)
    exchange = SimpleNamespace(name="reply.celery.pidbox")
    mailbox: Any = SimpleNamespace(clock=clock, reply_exchange=exchange)
    return Node("celery@here", worker, None, control.Panel.data, mailbox)


@pytest.mark.parametrize("command", dict.fromkeys(str(method) for method, _ in REFUSED), ids=lambda name: name[:20])
def test_a_command_whose_values_make_no_sense_is_refused_with_one_line(
    node: Node, consumer: Consumer, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    if command in ("pool_grow", "pool_shrink"):
        consumer.controller.autoscaler = None
    revoked = len(state.revoked)
    for method, arguments in REFUSED:
        if str(method) == command:
            node.handle_message({"method": method, "arguments": arguments})
            said = capsys.readouterr().err
            assert said.count("\n") == 1, (arguments, said)
            assert "WARNING" in said
            assert "the command" in said
            assert len(said) < 600, said
    assert consumer.done == []
    assert len(state.revoked) == revoked
    assert consumer.tasks["jobs.double"].rate_limit is None


def test_the_line_names_the_command_and_the_value(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.handle_message({"method": "rate_limit", "arguments": {**DOUBLE, "rate_limit": "-5/m"}})
    assert "the command rate_limit is refused: rate_limit is '-5/m', not a number of tasks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        *(("rate_limit", {**DOUBLE, "rate_limit": rate}) for rate in (None, 0, "0", 5, 0.5, "10/m", "1/h")),
        *(("time_limit", {**DOUBLE, "soft": soft, "hard": hard}) for soft, hard in ((None, None), (1, 2.5), (0, 3600))),
        ("pool_grow", {}),
        ("pool_grow", {"n": 30}),
        ("pool_shrink", {"n": 1}),
        ("revoke", {"task_id": "a-1"}),
        ("revoke", {"task_id": ["a-1", "a-2"], "terminate": False, "signal": "SIGKILL"}),
        ("revoke_by_stamped_headers", {"headers": {"kind": ["a", "b"]}}),
        ("revoke_by_stamped_headers", {"headers": ["kind=a"]}),
        ("add_consumer", {"queue": "more", "exchange": None, "exchange_type": "direct", "routing_key": None}),
        ("add_consumer", {"queue": "more", "durable": True, "consumer_arguments": {"x-priority": 5}}),
        ("cancel_consumer", {"queue": "more"}),
        ("hello", {"from_node": "celery@other", "revoked": ["a-1"]}),
        ("query_task", {"ids": ["a-1"]}),
        ("ping", None),
        ("registered", {"taskinfoitems": ["rate_limit"]}),
    ],
)
def test_remote_commands_that_celery_sends_are_done(
    node: Node, consumer: Consumer, capsys: pytest.CaptureFixture[str], method: str, arguments: Any
) -> None:
    consumer.controller.autoscaler = None
    consumer.backend = SimpleNamespace(get_state=lambda _: "SUCCESS")
    consumer.clock = SimpleNamespace(forward=lambda: 1)
    answer = node.handle_message({"method": method, "arguments": arguments})
    assert "error" not in (answer or {}), answer
    assert "refused" not in capsys.readouterr().err


def test_stamps_that_are_revoked_do_not_fill_the_memory(node: Node) -> None:
    for number in range(MAX_STAMPS // 1000 + 5):
        stamps = [f"{number}-{each}" for each in range(1000)]
        node.handle_message({"method": "revoke_by_stamped_headers", "arguments": {"headers": {f"k{number}": stamps}}})
    assert sum(map(len, state.revoked_stamps.values())) == MAX_STAMPS


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", "a?a?a?a?aaaa", ".*.*.*.*x", "(?:.+)+x", r"([\]a]+)+x", "[](a]*(a+)+x", "(a{1,9}){9}x"],
)
def test_an_expression_that_could_take_for_ever_is_not_tried(
    node: Node, capsys: pytest.CaptureFixture[str], pattern: str
) -> None:
    node.hostname = "celery@" + "a" * 200
    began = time.monotonic()
    assert node.handle_message({"method": "ping", "pattern": f".*{pattern}", "matcher": "pcre"}) is None
    assert time.monotonic() - began < 60
    assert "surely matched at once" in capsys.readouterr().err


@pytest.mark.parametrize(
    "pattern", [r"celery@(here|there)$", r".*@h[^x]*e", "celery@.+", "(?i)CELERY@.*", r"celery\@[*+?]?.*"]
)
def test_a_plain_expression_chooses_workers(node: Node, pattern: str) -> None:
    assert is_quick(pattern)
    assert node.handle_message({"method": "ping", "pattern": pattern, "matcher": "pcre"}) == {"ok": "pong"}


def test_an_answer_goes_to_the_exchange_of_answers_alone(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.handle_message({"method": "ping", "reply_to": {"exchange": "celery", "routing_key": "celery"}, "ticket": "a"})
    assert "gets none" in capsys.readouterr().err
    for reply_to in (5, "x", ["x"], {"a": 1}, {"exchange": "celery"}):
        assert node.handle_message({"method": "ping", "reply_to": reply_to}) is None
        assert "the command 'ping' is refused: reply_to is" in capsys.readouterr().err


def test_a_worker_continues_whatever_it_is_commanded(any_tasks: TaskProject) -> None:
    tasks = any_tasks
    tasks.plugin("jobs.py", "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n")
    worker = tasks.worker("-c 1")
    with tasks.sending():
        double = tasks.module("jobs").double
        control = application_of(get_plugin_manager()).control
        sent = 0
        for number, (method, arguments) in enumerate(REFUSED):
            # RabbitMQ's own client takes no half of a character.
            if isinstance(method, str) and isinstance(arguments, dict) and method.isprintable():
                control.broadcast(method, arguments=arguments)
                sent += 1
            if number % 40 == 0:
                assert double.delay(number).get(timeout=30) == 2 * number, (method, arguments)
        matcher: Any = "pcre"  # celery-types has a function there
        control.broadcast("ping", pattern="(.+)+x", matcher=matcher)
        assert double.delay(4).get(timeout=30) == 8
        assert control.inspect(timeout=5).ping()
    assert worker.log.count("the command") == sent + 1
    assert "Traceback" not in worker.log
    assert worker.log.count("Connected to") == 1
    assert worker.stop() == 0
