from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import kombu
import pytest
from kombu.pidbox import Mailbox as KombuMailbox

from opa import get_plugin_manager
from opa.tasks.application import TaskApplication, application_of
from opa.tasks.control import Mailbox
from tests.tasks.workers import TaskProject

NO_ANSWERS: list[Any] = [5, None, "x", [], [5], [["a"]], True]
NO_GREETINGS: list[Any] = [
    *(5, "x", [1], True, {"revoked": 5}, {"revoked": {"a": 1}}, {"revoked": [[]]}, {"revoked": [5]}),
    *({"revoked": ["x" * 300]}, {"revoked": ["x"] * 50_001}),
]


@pytest.fixture
def mailbox() -> Iterator[Any]:
    with kombu.Connection("memory://") as connection:
        yield Mailbox("test", type="fanout", clock=TaskApplication().clock)(connection)


def answer(mailbox: Any, *bodies: Any, ticket: str = "t", content_type: str = "application/json") -> None:
    """Put answers there."""
    mailbox.reply_queue(mailbox.connection.default_channel).declare()
    producer = mailbox.connection.Producer()
    for body in bodies:
        options: Any = {"serializer": "json"} if content_type == "application/json" else {"content_type": content_type}
        producer.publish(
            body, exchange=mailbox.reply_exchange, routing_key=mailbox.oid, headers={"ticket": ticket}, **options
        )


def test_answers_that_are_none_are_left_out(mailbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    answer(mailbox, *NO_ANSWERS, {"celery@a": {"ok": "pong"}})
    assert mailbox.collect("t", timeout=0.2) == [{"celery@a": {"ok": "pong"}}]
    assert capsys.readouterr().err.count("an answer to a command is dropped") == len(NO_ANSWERS)


def test_an_answer_that_cannot_be_read_is_left_out(mailbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    answer(mailbox, b"{", b"\xff", content_type="application/x-python-serialize")
    assert mailbox.collect("t", timeout=0.2) == []
    assert capsys.readouterr().err.count("it cannot be read") == 2


def test_answers_to_other_commands_are_not_kept(mailbox: Any) -> None:
    answer(mailbox, {"celery@a": 1}, ticket="other")
    assert mailbox.collect("t", timeout=0.2) == []
    assert not mailbox.unclaimed


def test_answers_without_end_are_not_waited_for(mailbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()

    def forge() -> None:
        while not stop.wait(0.01):
            answer(mailbox, {"celery@a": 1})

    oid = mailbox.oid
    monkeypatch.setattr(Mailbox, "oid", property(lambda _: oid))  # kombu's is another one in each thread
    thread = threading.Thread(target=forge)
    thread.start()
    try:
        began = time.monotonic()
        assert mailbox.collect("t", timeout=0.1)
        assert time.monotonic() - began < 30
    finally:
        stop.set()
        thread.join()


def test_a_worker_starts_whatever_answers_its_greeting(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", "from opa import task\n\n@task\ndef double(number):\n    return 2 * number\n")
    with tasks.sending():
        app: Any = application_of(get_plugin_manager())
        stop = threading.Event()
        forging = threading.Thread(target=forge_greetings, args=(app, stop))
        forging.start()
        try:
            worker = tasks.start(CELERY_PARAMS="-c 1 --without-gossip")
            worker.wait_until_ready()
            assert tasks.module("jobs").double.delay(4).get(timeout=30) == 8
        finally:
            stop.set()
            forging.join()
    assert "Traceback" not in worker.log
    assert "an answer to a command is dropped" in worker.log
    assert worker.stop() == 0


def forge_greetings(app: Any, stop: threading.Event) -> None:
    """Answer each command as a worker would that has lost its mind."""
    with app.connection_for_write() as connection:
        box: Any = KombuMailbox("celery", type="fanout")(connection)

        def greet(body: Any, _message: Any) -> None:
            where = body.get("reply_to")
            if where is None:
                return
            producer = connection.Producer()
            headers = {"ticket": body["ticket"], "clock": "x"}
            forged = [*NO_ANSWERS, *({f"celery@{n}": greeting} for n, greeting in enumerate(NO_GREETINGS))]
            for each in forged:
                producer.publish(each, serializer="json", headers=headers, retry=True, **where)
            producer.publish(b"\x80", content_type="application/x-python-serialize", headers=headers, **where)

        queue = box.get_queue("forger@there")
        with kombu.Consumer(connection.default_channel, [queue], callbacks=[greet], no_ack=True):
            while not stop.is_set():
                try:
                    connection.drain_events(timeout=0.2)
                except TimeoutError:
                    continue
