from __future__ import annotations

from opa.tasks.event_fields import MAX_TEXT, known_fields

SUCCESS = {"type": "task-succeeded", "clock": 1, "utcoffset": 0, "pid": 1, "runtime": 0.1}


def test_events_whose_names_are_too_long_are_none_and_texts_are_cut() -> None:
    event = {**SUCCESS, "timestamp": 1.0, "hostname": "celery@a", "uuid": "1", "result": "x" * 1_000_000}
    known = known_fields(event)
    assert known is not None
    assert len(known["result"]) == MAX_TEXT + 1
    for name in ("hostname", "uuid", "type", "name", "queue"):
        assert known_fields({**event, name: "x" * 2000}) is None, name
