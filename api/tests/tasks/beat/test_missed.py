from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from opa import MissedRun, Schedules
from opa.tasks.beat import missed
from opa.tasks.beat.service import Scheduler
from tests.tasks.beat.conftest import OneProject, ran

HOUR = 3600.0


def told(one_project: OneProject) -> list[MissedRun]:
    """What the plugin was told, by every beat of this process."""
    found: list[MissedRun] = __import__("jobs").told
    return found


def tick(beat: Scheduler) -> None:
    beat.tick()
    assert beat._listeners.wait_until_told(30)


def test_a_run_that_was_not_sent_in_time_is_told_once_whatever_beats_there_are(
    one_project: OneProject, sent: list[Any]
) -> None:
    first = one_project.beat()
    ran(first, seconds_ago=3 * HOUR)
    first.close()
    for _ in range(3):
        beat = one_project.beat()
        tick(beat)
        beat.close()
    run = told(one_project)[0]
    assert len(told(one_project)) == len(sent) == 1
    assert (run.schedule, run.task, run.plugin) == ("jobs.hourly", "jobs.hourly", "jobs")
    assert run.due_at == pytest.approx(time.time() - 2 * HOUR, abs=60)
    assert run.reason == missed.NO_BEAT
    assert asyncio.run(Schedules(one_project.manager).all())[0].missed == run.due_at


def test_a_run_that_is_sent_in_time_is_not_missed(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=HOUR + 30)
    tick(beat)
    assert len(sent) == 1
    assert told(one_project) == []


def test_each_gap_is_told(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    for _ in range(3):
        ran(beat, seconds_ago=3 * HOUR)
        tick(beat)
    assert len(told(one_project)) == len(sent) == 3
    assert len({run.due_at for run in told(one_project)}) == 3
    assert beat._redis.hlen(one_project.key("missed")) == 1  # of those that are told the last one


def test_a_run_that_falls_into_a_pause_is_not_missed(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    asyncio.run(Schedules(one_project.manager).pause("jobs.hourly"))
    ran(beat, seconds_ago=3 * HOUR)
    tick(beat)
    asyncio.run(Schedules(one_project.manager).resume("jobs.hourly"))
    tick(beat)
    assert told(one_project) == sent == []


def test_a_run_is_told_while_the_broker_is_away(one_project: OneProject, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=HOUR + 30)

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("it is away")

    monkeypatch.setattr(Scheduler, "apply_async", refuse)
    tick(beat)
    assert told(one_project) == []
    ran(beat, seconds_ago=2 * HOUR)
    for _ in range(3):
        tick(beat)
    assert [run.reason for run in told(one_project)] == ["the broker: it is away"]


def test_a_beat_that_never_reaches_the_broker_tells_unless_another_runs_the_schedule(
    one_project: OneProject, monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    first = one_project.beat()
    ran(first, seconds_ago=3 * HOUR)

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("it is away")

    monkeypatch.setattr(one_project.manager.celery, "connection_for_write", refuse)
    second = one_project.beat()
    tick(second)
    assert told(one_project) == []
    first.close()
    tick(second)
    tick(second)
    tick(one_project.beat())  # another one that does not reach it either
    assert [run.reason for run in told(one_project)] == ["the broker: it is away"]
    assert sent == []


def test_a_missed_run_that_a_killed_beat_has_not_told_is_told_by_another_one(
    one_project: OneProject, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one_project.beat()
    ran(first, seconds_ago=3 * HOUR)
    monkeypatch.setattr(first._listeners, "tell", lambda *_: None)  # as one that is killed before
    first.tick()
    assert len(sent) == 1
    first.close()
    second = one_project.beat()
    tick(second)
    assert told(one_project) == []  # the first may be at it
    monkeypatch.setattr(missed, "LOOK_INTERVAL", 0.0)
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + missed.CLAIM_LIFE)
    tick(second)
    tick(second)
    assert [run.schedule for run in told(one_project)] == ["jobs.hourly"]
    assert told(one_project)[0].due_at < time.time() - HOUR


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}", b'{"told": "x", "claimed": {}}', b"[" * 9999])
def test_values_that_others_write_into_redis_end_no_beat(
    one_project: OneProject, sent: list[Any], value: bytes
) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=3 * HOUR)
    last = float(beat._redis.hget(one_project.key("sent"), "jobs.hourly"))
    beat._redis.hset(one_project.key("missed"), mapping={f"{last:.3f} jobs.hourly": value, b"\xff": value})
    tick(beat)
    assert len(sent) == 1
    assert asyncio.run(Schedules(one_project.manager).all())[0].name == "jobs.hourly"
