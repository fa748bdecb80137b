from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest

from opa import OpaError, Schedules, log
from opa.settings.config import Config
from opa.tasks.beat.keys import paused_key
from opa.tasks.beat.pauses import Pause
from tests.project import Project
from tests.tasks.beat.conftest import OneProject, ran

HOUR = 3600.0


def schedules(one_project: OneProject) -> Schedules:
    return Schedules(one_project.manager)


def pause(one_project: OneProject, *, since: float, until: float | None) -> None:
    """Put a pause into redis as it stands there afterwards."""
    beat = one_project.beat()
    beat._pauses.put("jobs.hourly", Pause(time.time() + since, None if until is None else time.time() + until, "ada"))


def test_a_paused_schedule_is_not_sent_by_any_beat_and_goes_on_with_its_next_time(
    one_project: OneProject, sent: list[Any]
) -> None:
    first = one_project.beat()
    ran(first, seconds_ago=10)
    asyncio.run(schedules(one_project).pause("jobs.hourly"))
    ran(first, seconds_ago=3 * HOUR)
    first.tick()
    first.close()
    second = one_project.beat()
    second.tick()
    assert sent == []
    assert asyncio.run(schedules(one_project).resume("jobs.hourly"))
    second.tick()
    second.tick()
    assert sent == []  # what was due meanwhile is not made up for
    state = asyncio.run(schedules(one_project).all())[0]
    assert not state.paused
    assert state.next_run == pytest.approx(time.time() + HOUR, abs=60)
    assert second._redis.hgetall(one_project.key("paused")) == {}


def test_a_pause_that_ended_while_no_beat_ran_is_not_made_up_for(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=5 * HOUR)
    pause(one_project, since=-4 * HOUR, until=-0.5 * HOUR)
    beat.tick()
    assert sent == []
    state = asyncio.run(schedules(one_project).all())[0]
    assert state.next_run == pytest.approx(time.time() + HOUR / 2, abs=60)


def test_a_run_that_was_due_after_a_pause_is_made_up_for(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=5 * HOUR)
    pause(one_project, since=-4 * HOUR, until=-2 * HOUR)
    beat.tick()
    beat.tick()
    assert len(sent) == 1


def test_beat_looks_again_when_a_pause_ends(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    beat.tick()
    pause(one_project, since=0, until=1.5)
    assert beat.tick() <= 1.5
    assert sent == []


def test_a_pause_that_begins_during_a_tick_holds(
    one_project: OneProject, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=2 * HOUR)
    look = beat._missed.look

    def look_and_pause(*args: Any) -> None:
        look(*args)
        pause(one_project, since=0, until=None)

    monkeypatch.setattr(beat._missed, "look", look_and_pause)
    beat.tick()
    assert sent == []


def test_a_pause_of_a_schedule_that_is_not_here_is_kept_and_shown(one_project: OneProject) -> None:
    beat = one_project.beat()
    beat._pauses.put("jobs.gone", Pause(time.time(), None, "ada", "until it is back"))
    beat.tick()
    state = {state.name: state for state in asyncio.run(schedules(one_project).all())}["jobs.gone"]
    assert (state.paused, state.task, state.paused_by) == (True, "", "ada")
    assert asyncio.run(schedules(one_project).resume("jobs.gone"))


PAUSE = '{"until": %s, "since": 0, "by": "", "reason": ""}'
NO_PAUSES = [
    "[]",
    '{"since": "x"}',
    '{"until": null}',
    "[" * 9999,
    *(PAUSE % each for each in ("NaN", -1e300, 10**400)),
]


@pytest.mark.parametrize("value", [b"", b"\xff", *map(str.encode, NO_PAUSES)])
def test_a_pause_that_is_none_is_reported_once_and_does_not_count(
    one_project: OneProject, sent: list[Any], value: bytes
) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=2 * HOUR)
    beat._redis.hset(one_project.key("paused"), mapping={"jobs.hourly": value, b"\xff": value})
    said: list[str] = []
    sink = log.add(said.append, level="WARNING", format="{message}")
    beat.tick()
    beat.tick()
    log.remove(sink)
    assert len(sent) == 1
    assert sum("no valid pause for the schedule 'jobs.hourly'" in line for line in said) == 1


def test_a_pause_written_by_hand_that_has_ended_does_not_keep_beat_busy(
    one_project: OneProject, sent: list[Any]
) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=3 * HOUR)
    text = '{"until": 1, "since": 0, "by": "", "reason": ""}'
    beat._redis.hset(one_project.key("paused"), "jobs.hourly", text)
    beat.tick()
    assert len(sent) == 1


def test_times_that_others_have_written_without_a_date_are_shown_as_late_or_left_out(one_project: OneProject) -> None:
    client = one_project.beat()._redis
    client.hset(one_project.key("paused"), "jobs.hourly", PAUSE % "1e999")
    client.hset(one_project.key("ran"), "jobs.hourly", f'{{"at": {10**400}, "id": "x"}}')
    state = asyncio.run(schedules(one_project).all())[0]
    assert state.paused
    assert state.paused_until is not None
    assert datetime.fromtimestamp(state.paused_until).astimezone().year >= 9998
    assert not state.last_id


def test_a_task_of_a_schedule_has_its_name_in_a_header(one_project: OneProject, sent: list[Any]) -> None:
    beat = one_project.beat()
    ran(beat, seconds_ago=2 * HOUR)
    beat.tick()
    assert sent[0]["headers"] == {"schedule": "jobs.hourly"}
    state = asyncio.run(schedules(one_project).all())[0]
    assert state.last_id == sent[0]["task_id"]
    assert state.last_run == pytest.approx(time.time(), abs=60)


def test_a_beat_that_starts_says_what_is_paused(one_project: OneProject) -> None:
    pause(one_project, since=0, until=None)
    said: list[str] = []
    sink = log.add(said.append, level="INFO", format="{message}")
    one_project.beat().tick()
    log.remove(sink)
    assert sum("jobs.hourly (is paused by ada since " in line for line in said) == 1


def test_a_pause_of_an_unknown_schedule_or_until_a_past_time_is_refused(one_project: OneProject) -> None:
    with pytest.raises(OpaError, match=r"no schedule 'jobs\.hurly'") as found:
        asyncio.run(schedules(one_project).pause("jobs.hurly"))
    assert "Did you mean 'jobs.hourly'?" in str(found.value.hint)
    with pytest.raises(OpaError, match="has ended already"):
        asyncio.run(schedules(one_project).pause("jobs.hourly", until=time.time() - 1))
    assert asyncio.run(schedules(one_project).resume("jobs.hourly")) is False
    assert paused_key("x") == "opa:x:beat:paused"


def test_the_settings_are_looked_through_once_however_many_schedules_they_have(
    project: Project, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"task": "jobs.hourly", "schedule": 60}
    project.settings(CELERY_BEAT_SCHEDULE={f"entry {number}": entry for number in range(20)})
    one_project = OneProject(project, redis_url)
    asked: list[str] = []
    source = Config.source

    def noted(config: Config, name: str) -> str:
        asked.append(name)
        return source(config, name)

    monkeypatch.setattr(Config, "source", noted)
    states = {state.name: state.where for state in asyncio.run(schedules(one_project).all())}
    assert asked == ["CELERY_BEAT_SCHEDULE"]
    assert len(states) == 21
    assert "settings" in states["entry 7"]
    one_project.close()
