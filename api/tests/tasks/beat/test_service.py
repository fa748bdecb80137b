from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis

from opa import log
from opa.tasks.beat.keys import FORMER_LOCK_KEY, FORMER_SENT_KEY, lock_key, sent_key
from opa.tasks.beat.service import LOCK_LIFE, Scheduler
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.serve.process import is_halted, wait_until
from tests.servers import Server
from tests.tasks.waiting import waiting
from tests.tasks.workers import TaskProject, Worker, task_project

LOCK_KEY, SENT_KEY = lock_key("opa-stack"), sent_key("opa-stack")
CELERY = [sys.executable, "-m", "celery", "-A", "opa.main"]

TICKING = """
from opa import task

@task(schedule=1)
def tick():
    pass
"""

NIGHTLY = """
from opa import task

@task(schedule="0 3 * * *")
def nightly():
    pass
"""


class Servers:
    """A broker and a redis for the beats, each of its own."""

    def __init__(self, start_redis: Callable[[], Server]) -> None:
        self.broker, self.backend = start_redis(), start_redis()


@pytest.fixture
def servers(start_redis: Callable[[], Server]) -> Servers:
    return Servers(start_redis)


@pytest.fixture
def beats(project: Project, servers: Servers) -> Any:
    with task_project(project, broker=f"{servers.broker.url}/1", backend=f"{servers.backend.url}/2") as tasks:
        yield tasks


def start(beats: TaskProject, **environ: str) -> Worker:
    return beats.start(MODE="beat", **environ)


def memory(servers: Servers) -> redis.Redis:
    return redis.Redis.from_url(f"{servers.backend.url}/2", decode_responses=True)


def set_last_run(servers: Servers, name: str, *, seconds_ago: float) -> None:
    with memory(servers) as client:
        client.hset(SENT_KEY, name, str(time.time() - seconds_ago))


def sent(servers: Servers, queue: str = "celery") -> list[Any]:
    """The tasks that wait in the queue, the oldest first."""
    with redis.Redis.from_url(f"{servers.broker.url}/1") as client:
        messages = [json.loads(message) for message in client.lrange(queue, 0, -1)]
    return [message["headers"] for message in reversed(messages)]


def runs(*beats: Worker) -> list[float]:
    """When tasks were sent, by the logs."""
    lines = [line for beat in beats for line in beat.lines if "is sent" in line["message"]]
    return sorted(datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines)


def halt_between_runs(beat: Worker, servers: Servers) -> None:
    """Halt the beat of `jobs.tick` where it is sending nothing, and has noted all that it has sent."""

    def halt() -> bool:
        beat.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_halted(beat.pid), what="it is halted")
        with memory(servers) as client:
            noted = float(client.hget(SENT_KEY, "jobs.tick") or 0)
        if noted < time.time() < noted + 0.8:  # the next is due after 1 s
            return True
        beat.process.send_signal(signal.SIGCONT)
        return False

    wait_until(halt)


def wait_for_runs(beat: Worker, number: int) -> None:
    before = len(runs(beat))
    wait_until(lambda: len(runs(beat)) >= before + number, what=lambda: f"{number} runs\n{beat.log}")


def test_beat_sends_what_is_due_and_nothing_else(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", TICKING)
    beats.plugin("more.py", NIGHTLY)
    beat = start(beats)
    wait_for_runs(beat, 3)
    assert beat.is_ready
    assert beat.stop() == 0
    assert {message["task"] for message in sent(servers)} == {"jobs.tick"}
    assert len(sent(servers)) == len(runs(beat))


def test_the_settings_add_to_the_schedule(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("more.py", NIGHTLY)
    entry = {"task": "more.nightly", "schedule": 1, "options": {"queue": "slow"}}
    beats.settings(CELERY_BEAT_SCHEDULE={"often": entry, "later": {"task": "more.nightly", "schedule": "0 4 * * 1-5"}})
    wait_for_runs(start(beats), 2)
    assert {message["task"] for message in sent(servers, "slow")} == {"more.nightly"}
    assert sent(servers) == []


def test_an_entry_that_cannot_be_sent_is_reported_and_the_others_continue(beats: TaskProject) -> None:
    beats.plugin("jobs.py", TICKING)
    beats.settings(CELERY_BEAT_SCHEDULE={"wrong": {"task": "jobs.tick", "schedule": 1, "args": [1]}})
    beat = start(beats)
    wait_for_runs(beat, 2)
    assert beat.says("schedule 'wrong': the task cannot be sent")
    assert beat.is_ready


def test_an_entry_with_more_than_a_task_can_carry_is_reported_and_the_others_continue(beats: TaskProject) -> None:
    beats.plugin("jobs.py", TICKING)
    beats.plugin("more.py", "from opa import task\n\n@task\ndef take(what): ...\n")
    entry = {"task": "more.take", "schedule": 1, "args": ["x" * 200]}
    beats.settings(TASK_MAX_BYTES=200, CELERY_BEAT_SCHEDULE={"large": entry})
    beat = start(beats)
    wait_for_runs(beat, 2)
    assert beat.says("task 'more.take' cannot be sent with its arguments: it takes ")
    assert beat.is_ready


def test_without_a_redis_for_its_lock_it_does_not_start(project: Project, servers: Servers) -> None:
    with task_project(project, broker=f"{servers.broker.url}/1", backend="rpc://") as tasks:
        beat = start(tasks)
        assert beat.wait() == 1
        assert "MODE=beat needs a redis" in beat.log
        assert "Traceback" not in beat.log


def test_of_two_beats_one_sends_and_the_other_takes_over_when_it_is_killed(
    beats: TaskProject, servers: Servers
) -> None:
    beats.plugin("jobs.py", TICKING)
    first = start(beats)
    wait_for_runs(first, 1)
    second = start(beats)
    wait_until(lambda: second.says(f":{first.pid} runs the schedule; this one takes over within 31 s"))
    wait_for_runs(first, 3)
    assert second.is_ready
    assert runs(second) == []
    halt_between_runs(first, servers)
    first.process.kill()
    first.process.wait()
    with memory(servers) as client:
        assert LOCK_LIFE / 2 < client.pttl(LOCK_KEY) / 1000 <= LOCK_LIFE
        client.pexpire(LOCK_KEY, 2000)  # instead of waiting until its time has run out
    wait_until(lambda: len(runs(second)) >= 3, what=lambda: f"the second takes over\n{second.log}")
    second.process.send_signal(signal.SIGTERM)
    assert second.wait() == 0
    # Neither sent what the other had sent, and what was missed was made up for once.
    both = runs(first, second)
    assert len({message["id"] for message in sent(servers)}) == len(sent(servers)) == len(both)
    assert all(later - earlier > 0.8 for earlier, later in pairwise(both))


def test_a_run_that_was_sent_and_not_noted_is_sent_again_under_the_same_id(
    beats: TaskProject, servers: Servers
) -> None:
    beats.plugin("more.py", NIGHTLY)
    two_days_ago = time.time() - 2 * 86400
    for _ in range(2):
        with memory(servers) as client:
            client.hset(SENT_KEY, "more.nightly", str(two_days_ago))  # as one leaves it that is killed in between
            client.delete(LOCK_KEY)
        beat = start(beats)
        wait_for_runs(beat, 1)
        beat.process.kill()
        beat.process.wait()
    first, again = sent(servers)
    assert first["id"] == again["id"]


def test_a_beat_that_is_stopped_makes_way_at_once(beats: TaskProject) -> None:
    beats.plugin("jobs.py", TICKING)
    first = start(beats)
    wait_for_runs(first, 1)
    second = start(beats)
    wait_until(lambda: second.says("beat waits"))
    assert first.stop() == 0
    wait_until(lambda: second.says("beat runs the schedule"), seconds=15)
    assert not first.is_ready


def test_a_beat_that_hung_until_another_took_over_sends_no_more(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", TICKING)
    first = start(beats)
    wait_for_runs(first, 2)
    second = start(beats)
    wait_until(lambda: second.says("beat waits"))
    halt_between_runs(first, servers)
    with memory(servers) as client:
        client.delete(LOCK_KEY)  # as it will be when its time has run out
    wait_for_runs(second, 2)
    first.process.send_signal(signal.SIGCONT)
    wait_until(lambda: first.says("beat waits"))
    wait_for_runs(second, 2)
    assert len({message["id"] for message in sent(servers)}) == len(sent(servers))
    assert all(later - earlier > 0.8 for earlier, later in pairwise(runs(first, second)))


@pytest.fixture
def scheduler(project: Project, start_redis: Callable[[], Server]) -> Iterator[Callable[..., Scheduler]]:
    """Makes the scheduler of a beat in this process; nothing is sent, since the next run is in an hour."""
    url = start_redis().url
    with ExitStack() as stack:

        def make(project_name: str = "opa-stack", plugin: str = "jobs.py", **settings: Any) -> Scheduler:
            project.plugins.joinpath("jobs.py").unlink(missing_ok=True)
            project.plugin(plugin, "from opa import task\n\n@task(schedule=3600)\ndef hourly(): ...\n")
            project.component("CELERY", "celery", BROKER_URL=f"{url}/1", BACKEND_URL=f"{url}/2")
            project.settings(PROJECT_NAME=project_name, **settings)
            made = Scheduler(app=project.prepare().celery)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def health(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """What was noted last for the health check."""
    file = project.folder / "health.json"
    monkeypatch.setenv("HEALTH_FILE", str(file))
    return lambda: json.loads(file.read_text())


def test_two_projects_share_a_redis(scheduler: Callable[..., Scheduler]) -> None:
    first, second = scheduler("First"), scheduler("Second")
    third = scheduler("Second", PROJECT_ID="third")
    for each in (first, second, third):
        each.tick()
    keys = {key.decode() for key in first._redis.keys("opa:*:sent")}
    assert keys == {"opa:First:beat:sent", "opa:Second:beat:sent", "opa:third:beat:sent"}


def test_another_project_of_the_same_name_is_reported_and_is_not_healthy(
    scheduler: Callable[..., Scheduler], health: Callable[[], dict[str, Any]]
) -> None:
    first = scheduler()
    second = scheduler(plugin="../others/more.py", PLUGIN_PATHS=["others"])
    first.tick()
    second.tick()
    assert "another project" in health()["reason"]
    assert "PROJECT_ID" in health()["reason"]
    first.close()
    second.tick()
    assert "reason" not in health()


@pytest.mark.parametrize("settings", [{}, {"PLUGIN_PATHS": ["others"], "PROJECT_ID": "opa-stack"}])
def test_an_update_that_renames_the_whole_schedule_waits_for_the_older_beat_and_is_healthy(
    scheduler: Callable[..., Scheduler],
    health: Callable[[], dict[str, Any]],
    settings: dict[str, Any],
) -> None:
    first = scheduler(**{key: value for key, value in settings.items() if key == "PROJECT_ID"})
    second = scheduler(plugin="../others/more.py" if settings else "more.py", **settings)
    said: list[str] = []
    sink = log.add(said.append, level="WARNING", format="{message}")
    first.tick()
    second.tick()
    second.tick()
    log.remove(sink)
    assert "reason" not in health()
    assert sum("PROJECT_ID" in line for line in said) == 1
    first.close()
    second.tick()
    assert set(first._redis.hgetall(SENT_KEY)) == {b"more.hourly"}


def test_a_beat_of_the_same_project_waits_without_a_complaint(
    scheduler: Callable[..., Scheduler], health: Callable[[], dict[str, Any]]
) -> None:
    first, second = scheduler(), scheduler()
    first.tick()
    second.tick()
    assert "reason" not in health()


def test_the_times_of_a_version_before_keys_had_a_name_are_taken_over(scheduler: Callable[..., Scheduler]) -> None:
    beat = scheduler()
    client, half_an_hour_ago = beat._redis, time.time() - 1800
    client.hset(FORMER_SENT_KEY, mapping={"jobs.hourly": str(half_an_hour_ago), "of.another": "1.0"})
    client.set(FORMER_LOCK_KEY, "host:1:of-an-older-version")
    beat.tick()
    assert not client.exists(SENT_KEY)  # the older one sends
    client.delete(FORMER_LOCK_KEY)
    beat.tick()
    assert float(client.hget(SENT_KEY, "jobs.hourly")) == half_an_hour_ago
    assert client.hgetall(FORMER_SENT_KEY) == {b"of.another": b"1.0"}
    client.set(FORMER_LOCK_KEY, "host:1:of-another-project")
    beat.close()
    again = scheduler()
    again.tick()
    assert float(client.hget(SENT_KEY, "jobs.hourly")) == half_an_hour_ago
    assert again._is_leading


@pytest.mark.parametrize("value", [b"nan", b"1e300", b"-1", b"99999999999", b"garbage", b"\xff"])
def test_an_invalid_time_of_a_last_run_is_reported_and_replaced(
    scheduler: Callable[..., Scheduler], value: bytes
) -> None:
    beat = scheduler()
    said: list[str] = []
    sink = log.add(said.append, level="WARNING", format="{message}")
    beat._redis.hset(SENT_KEY, mapping={"jobs.hourly": value, b"\xff": b"1"})
    beat._redis.hset(f"{SENT_KEY.removesuffix('sent')}home", "holder", b"\xff")
    beat._redis.set(FORMER_LOCK_KEY, b"\xff")
    beat._redis.hset(FORMER_SENT_KEY, "jobs.hourly", value)
    beat.tick()
    log.remove(sink)
    assert beat._is_leading
    assert sum("jobs.hourly" in line for line in said) >= 1
    stored = beat._redis.hgetall(SENT_KEY)
    assert stored.keys() == {b"jobs.hourly"}
    assert abs(float(stored[b"jobs.hourly"]) - time.time()) < 60


def test_an_entry_that_another_beat_has_sent_meanwhile_is_not_sent_again(
    scheduler: Callable[..., Scheduler], monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = scheduler()
    beat.tick()
    entry = beat.schedule["jobs.hourly"]
    assert entry.last_run_at is not None
    entry.last_run_at -= timedelta(hours=2)

    def is_due() -> tuple[bool, float]:  # held up for so long that another beat took over, sent it, and ended
        beat._redis.delete(LOCK_KEY)
        beat._redis.hset(SENT_KEY, "jobs.hourly", time.time())
        return True, 0.0

    monkeypatch.setattr(type(entry), "is_due", lambda _: is_due())
    sent: list[object] = []
    monkeypatch.setattr(beat, "_send", sent.append)
    assert beat._send_if_due(entry) == 0
    assert sent == []


def test_garbage_in_the_lock_is_waited_for(scheduler: Callable[..., Scheduler]) -> None:
    beat = scheduler()
    beat._redis.set(LOCK_KEY, b"\xff\xfe")
    beat._redis.hset(SENT_KEY, b"\xff", b"1")
    beat._redis.hset(f"{SENT_KEY.removesuffix('sent')}home", mapping={"holder": b"\xff", "plugins": b"\xff"})
    beat.tick()
    assert not beat._is_leading
    assert 0 < beat._redis.ttl(LOCK_KEY) <= LOCK_LIFE  # nobody prolongs it, so it ends
    beat._redis.set(LOCK_KEY, "")
    beat.tick()
    assert not beat._is_leading
    beat._redis.delete(LOCK_KEY)
    beat.tick()
    assert beat._is_leading


def test_the_times_of_the_last_runs_survive_a_restart(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", "from opa import task\n\n@task(schedule=3600)\ndef hourly():\n    pass\n")
    first = start(beats)
    first.wait_until_ready()
    with memory(servers) as client:
        noted = wait_until(lambda: client.hgetall(SENT_KEY))
    assert first.stop() == 0
    second = start(beats)
    wait_until(lambda: second.says("beat runs the schedule"))
    second.wait_until_ready()
    with memory(servers) as client:
        assert client.hgetall(SENT_KEY) == noted
    assert sent(servers) == []


def test_runs_that_were_missed_are_made_up_for_by_one(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("more.py", NIGHTLY)
    set_last_run(servers, "more.nightly", seconds_ago=10 * 86400)
    first = start(beats)
    wait_for_runs(first, 1)
    assert first.stop() == 0
    second = start(beats)
    wait_until(lambda: second.says("beat runs the schedule"))
    second.wait_until_ready()
    assert second.stop() == 0
    assert len(sent(servers)) == 1


def test_a_schedule_that_a_plugin_no_longer_has_is_forgotten(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", TICKING)
    set_last_run(servers, "gone.task", seconds_ago=86400)
    wait_for_runs(start(beats), 1)
    with memory(servers) as client:
        assert list(client.hgetall(SENT_KEY)) == ["jobs.tick"]
    assert {message["task"] for message in sent(servers)} == {"jobs.tick"}


def test_without_redis_it_waits_and_is_not_ready_and_then_continues(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", TICKING)
    servers.backend.kill()
    beat = start(beats)
    wait_until(lambda: beat.says("because of redis"))
    wait_until(lambda: not beat.is_ready, seconds=1)
    servers.backend.start()
    wait_for_runs(beat, 2)
    assert beat.is_ready
    servers.backend.kill()
    wait_until(lambda: not beat.is_ready)
    servers.backend.start()
    wait_for_runs(beat, 2)
    assert beat.log.count("cannot send for now") == 2
    assert beat.stop() == 0


def test_without_broker_it_waits_and_the_run_is_made_up_for_once(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("more.py", NIGHTLY)
    set_last_run(servers, "more.nightly", seconds_ago=2 * 86400)
    servers.broker.kill()
    beat = start(beats)
    wait_until(lambda: beat.says("because of the broker"))
    assert not beat.is_ready
    servers.broker.start()
    wait_for_runs(beat, 1)
    wait_until(lambda: beat.is_ready)
    assert len(sent(servers)) == 1


def test_a_run_that_cannot_be_sent_is_put_off_and_not_lost(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", "from opa import task\n\n@task(schedule=3600)\ndef hourly():\n    pass\n")
    set_last_run(servers, "jobs.hourly", seconds_ago=3585)
    beat = start(beats)
    beat.wait_until_ready()
    servers.broker.kill()
    wait_until(lambda: beat.says("because of the broker"))
    assert runs(beat) == []
    servers.broker.start()
    wait_for_runs(beat, 1)


def test_beat_writes_no_file(beats: TaskProject) -> None:
    beats.plugin("jobs.py", TICKING)
    before = {file for file in beats.folder.rglob("*") if "__pycache__" not in file.parts}
    beat = start(beats)
    wait_for_runs(beat, 1)
    assert beat.stop() == 0
    after = {file for file in beats.folder.rglob("*") if "__pycache__" not in file.parts}
    assert {file.name for file in after - before} == {"worker-1.log", "worker-1-health.json"}


def test_the_command_of_celery_runs_the_same_schedule(beats: TaskProject, servers: Servers) -> None:
    beats.plugin("jobs.py", TICKING)
    beat = beats.start(*CELERY, "beat")
    wait_for_runs(beat, 1)
    with memory(servers) as client:
        assert client.exists(LOCK_KEY)
    assert beat.stop() == 0


def test_a_task_that_no_plugin_has_is_reported_and_sent(beats: TaskProject, servers: Servers) -> None:
    beats.settings(CELERY_BEAT_SCHEDULE={"far": {"task": "elsewhere.run", "schedule": 1}})
    beat = start(beats)
    wait_for_runs(beat, 1)
    assert beat.says("the schedule 'far' sends the task 'elsewhere.run', which no plugin here has")
    assert sent(servers)[0]["task"] == "elsewhere.run"


@pytest.mark.docker
def test_beat_continues_when_rabbitmq_comes_back(
    project: Project, servers: Servers, start_rabbitmq: Callable[[], RabbitMQ]
) -> None:
    rabbitmq = start_rabbitmq()
    url = rabbitmq.virtual_host()
    with task_project(project, broker=url, backend=f"{servers.backend.url}/2") as tasks:
        # Longer than a sender waits for an answer: a connection at rest is no broken one.
        tasks.plugin("jobs.py", "from opa import task\n\n@task(schedule=7)\ndef tick():\n    pass\n")
        beat = start(tasks)
        wait_for_runs(beat, 2)
        assert "because of" not in beat.log
        rabbitmq.kill()
        wait_until(lambda: beat.says("because of the broker"))
        rabbitmq.start()
        wait_for_runs(beat, 1)
        wait_until(lambda: beat.is_ready)
        ids = waiting(url, "celery")
        assert len(set(ids)) == len(ids) == len(runs(beat))
        assert beat.stop() == 0
