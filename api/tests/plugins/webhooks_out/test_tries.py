"""When the next try is, and when there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from opa import OpaError, WebhookAnswer
from opa.plugins.webhooks_out import silence
from opa.plugins.webhooks_out.delivery import PAUSES, countdown_of
from opa.plugins.webhooks_out.silence import Silence
from tests.project import Project


def test_tries_go_on_for_more_than_a_day_in_parts_where_a_worker_would_hold_them(project: Project) -> None:
    project.prepare()
    assert sum(PAUSES) > 86_400
    assert countdown_of(SimpleNamespace(waits_in_broker=True), 36_000) == 36_000
    assert countdown_of(SimpleNamespace(waits_in_broker=False), 36_000) == 600
    assert countdown_of(SimpleNamespace(waits_in_broker=False), 5) == 5


def test_a_receiver_that_does_not_answer_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(silence, "time", SimpleNamespace(monotonic=lambda: now))
    nothing, error = WebhookAnswer(None, "TimeoutError"), WebhookAnswer(500, "it has answered 500")
    receiver = Silence()
    for answer, took in ((nothing, 20), (nothing, 20), (error, 15), (nothing, 20), (nothing, 20), (nothing, 0.1)):
        receiver.note(answer, took)
        assert receiver.answer() is None
    receiver.note(nothing, 20)
    receiver.note(nothing, 20)
    pauses = []
    for _ in range(6):
        receiver.note(nothing, 20)
        told = receiver.answer()
        assert told is not None
        assert told.status is None
        assert told.problem
        start = now
        while receiver.answer() is not None:
            now += 10.0
        pauses.append(now - start)
    assert pauses == [30, 60, 120, 240, 300, 300]
    receiver.note(WebhookAnswer(204), 0.1)
    receiver.note(nothing, 20)
    assert receiver.answer() is None


def test_without_a_webhook_there_is_no_handler(project: Project) -> None:
    assert not project.prepare().groups.members("event_handlers")


def test_without_the_library_the_start_says_what_to_install(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = {"ON": "*", "URL": "https://crm.example.org", "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    project.settings(WEBHOOKS_OUT={"crm": webhook})
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(OpaError, match="WEBHOOKS_OUT needs the package standardwebhooks"):
        project.prepare()
