"""`opa schedule`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import redis
from typer.testing import CliRunner, Result

from opa import OpaError
from opa.cli.commands import app
from tests.project import Project

PLUGIN = """
from opa import task

@task(schedule="30 3 * * 1-5")
def nightly(): ...

@task(schedule=3600)
def hourly(): ...
"""


def schedule(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schedule", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})


def done(*arguments: str) -> str:
    result = schedule(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed() -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(done("list", "--json"))}


@pytest.fixture
def with_redis(project: Project, redis_url: str) -> Project:
    project.plugin("reports.py", PLUGIN)
    project.component("CELERY", "celery", BROKER_URL=f"{redis_url}/1", BACKEND_URL=f"{redis_url}/2")
    name = uuid4().hex
    project.settings(
        PROJECT_ID=name,
        CELERY_TASK_DEFAULT_QUEUE=name,
        CELERY_BEAT_SCHEDULE={
            "extra": {"task": "reports.hourly", "schedule": 60, "options": {"headers": {"mine": "1"}}},
            "reports.nightly": {"enabled": False},
        },
    )
    return project


def test_list_shows_what_is_configured_and_what_is_known(with_redis: Project) -> None:
    found = listed()
    assert list(found) == ["extra", "reports.hourly", "reports.nightly"]
    nightly = found["reports.nightly"]
    assert (nightly["enabled"], nightly["next_run"], nightly["when"]) == (False, None, "30 3 * * 1-5")
    assert found["reports.hourly"]["next_run"] == pytest.approx(time.time() + 3600, abs=120)
    assert (found["extra"]["task"], found["extra"]["plugin"]) == ("reports.hourly", "reports")
    assert "00-test.json" in found["extra"]["where"]
    assert "not enabled" in done("list")


def test_a_pause_is_shown_everywhere_and_ended(with_redis: Project) -> None:
    assert "is paused until it is resumed" in done("pause", "reports.hourly", "--reason", "token=hunter2 \x1b[2J")
    row = listed()["reports.hourly"]
    assert row["paused"]
    assert row["next_run"] is None
    assert row["paused_by"].count("@") == 1
    table = done("list")
    assert "hunter2" not in table
    assert "\x1b" not in table
    tasks = CliRunner().invoke(app, ["tasks", "list", "--json"], catch_exceptions=False)
    texts = {row["task"]: row["schedule"] for row in json.loads(tasks.stdout)}
    assert "every 3600 s (paused)" in texts["reports.hourly"]
    assert texts["reports.nightly"] == "30 3 * * 1-5 (not enabled)"
    assert "goes on" in done("resume", "reports.hourly")
    assert "is not paused" in done("resume", "reports.hourly")
    assert not listed()["reports.hourly"]["paused"]


def test_a_pause_can_have_an_end(with_redis: Project) -> None:
    done("pause", "extra", "--for", "2h")
    row = listed()["extra"]
    assert row["paused_until"] == pytest.approx(time.time() + 7200, abs=120)
    assert row["next_run"] == pytest.approx(row["paused_until"] + 60, abs=1)
    with_redis.settings(CELERY_TIMEZONE="Asia/Tokyo")
    done("pause", "extra", "--until", "2999-01-01T09:00")
    assert listed()["extra"]["paused_until"] == datetime(2999, 1, 1, tzinfo=UTC).timestamp()
    done("pause", "extra", "--until", "00:00")
    assert 0 < listed()["extra"]["paused_until"] - time.time() <= 86400


@pytest.mark.parametrize(
    "wrong",
    [
        ("--until", "2001-01-01"),
        ("--until", "soon"),
        ("--until", "25:00"),
        ("--for", "0"),
        ("--for", "2 hours"),
        ("--for", "2h", "--until", "18:00"),
    ],
)
def test_an_end_that_is_none_is_refused(with_redis: Project, wrong: tuple[str, ...]) -> None:
    assert schedule("pause", "extra", *wrong).exit_code == 2


def test_run_sends_it_now_as_that_schedule(with_redis: Project, redis_url: str) -> None:
    task_id = done("run", "extra").strip()
    with redis.Redis.from_url(f"{redis_url}/1") as client:
        (message,) = client.lrange(with_redis.config().PROJECT_ID, 0, -1)
    headers = json.loads(message)["headers"]
    assert (headers["id"], headers["task"]) == (task_id, "reports.hourly")
    assert (headers["schedule"], headers["mine"]) == ("extra", "1")
    assert headers["actor_kind"] == "person"
    assert "@" in headers["actor"]
    row = listed()["extra"]
    assert row["last_id"] == task_id
    assert row["last_run"] == pytest.approx(time.time(), abs=60)


def test_what_run_has_sent_is_a_run_that_can_be_sent_again(with_redis: Project, redis_url: str) -> None:
    with_redis.component("AIOREDIS", "redis-aioredis", URL=f"{redis_url}/3")
    task_id = done("run", "extra").strip()
    with redis.Redis.from_url(f"{redis_url}/3") as client:
        (key,) = client.keys(f"*:run:{task_id}")
        record = json.loads(client.get(key))
    assert (record["t"], record["s"]) == ("reports.hourly", "waiting")
    shown = CliRunner().invoke(app, ["tasks", "show", task_id], catch_exceptions=False)
    assert "can be sent again" in shown.stdout


def test_opa_schedule_suggests_a_name_for_an_unknown_schedule(with_redis: Project) -> None:
    for command in ("pause", "resume", "run"):
        with pytest.raises(OpaError, match=r"no schedule 'reports\.hurly'") as error:
            schedule(command, "reports.hurly")
        assert "Did you mean 'reports.hourly'" in str(error.value.hint)


def test_changes_by_opa_schedule_are_in_the_audit_log(with_redis: Project, redis_url: str) -> None:
    with_redis.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    with_redis.settings(AUDIT_LOG="redis")
    done("pause", "extra", "--reason", "why")
    task_id = done("run", "extra").strip()
    done("resume", "extra")
    entries = json.loads(CliRunner().invoke(app, ["audit", "--json"], catch_exceptions=False).stdout)
    found = {entry["what"]: entry for entry in entries}
    assert found["schedule.pause"]["reason"] == "why"
    assert found["schedule.run"]["id"] == task_id
    assert found["schedule.resume"]["name"] == "extra"


def test_without_redis_list_says_what_is_configured_and_the_others_why_they_cannot(project: Project) -> None:
    project.plugin("reports.py", PLUGIN)
    result = schedule("list", "--json")
    assert [row["name"] for row in json.loads(result.stdout)] == ["reports.hourly", "reports.nightly"]
    assert "without last and next runs and pauses" in result.stderr
    with pytest.raises(OpaError, match="a pause needs a component with the driver 'celery'"):
        schedule("pause", "reports.hourly")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1/1", BACKEND_URL="redis://127.0.0.1:1/2")
    with pytest.raises(OpaError, match="redis, where the state of the schedule is, does not answer"):
        schedule("pause", "reports.hourly")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1/1", BACKEND_URL="rpc://")
    with pytest.raises(OpaError, match="a pause needs a redis"):
        schedule("pause", "reports.hourly")
    assert schedule("list").exit_code == 0


def test_without_a_schedule_there_is_none(project: Project) -> None:
    assert schedule("list").stdout == "no schedules\n"
