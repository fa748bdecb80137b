"""A redis that answers, and cannot do what it is asked to: worker, beat and api live through it, and lose nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.serve.process import wait_until
from tests.servers import Server, redis_server
from tests.tasks.states import Running, Since, check_lines, run
from tests.tasks.workers import lasting_task_project


def administrator(server: Server) -> redis.Redis:
    """One connection, and no second try of a command."""
    return redis.Redis(port=server.port, single_connection_client=True, retry=Retry(NoBackoff(), 0))


def execute(admin: redis.Redis, *command: str) -> None:
    admin.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py has not typed it


@contextmanager
def replica(server: Server, admin: redis.Redis) -> Iterator[str]:
    """A failover: from now on the master is another server, here one that nobody can reach."""
    execute(admin, "REPLICAOF", "127.0.0.1", "1")
    yield "READONLY"
    execute(admin, "REPLICAOF", "NO", "ONE")


@contextmanager
def stale_replica(server: Server, admin: redis.Redis) -> Iterator[str]:
    admin.config_set("replica-serve-stale-data", "no")
    execute(admin, "REPLICAOF", "127.0.0.1", "1")
    yield "MASTERDOWN"
    execute(admin, "REPLICAOF", "NO", "ONE")
    admin.config_set("replica-serve-stale-data", "yes")


@contextmanager
def too_few_replicas(server: Server, admin: redis.Redis) -> Iterator[str]:
    admin.config_set("min-replicas-to-write", 1)
    yield "NOREPLICAS"
    admin.config_set("min-replicas-to-write", 0)


@contextmanager
def full_memory(server: Server, admin: redis.Redis) -> Iterator[str]:
    admin.config_set("maxmemory", 1)
    yield "OOM"
    admin.config_set("maxmemory", 0)


@contextmanager
def no_snapshots(server: Server, admin: redis.Redis) -> Iterator[str]:
    (server.data / "dump.rdb").mkdir()
    admin.config_set("save", "3600 1")
    admin.bgsave()
    wait_until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield "MISCONF"
    (server.data / "dump.rdb").rmdir()
    admin.bgsave()
    wait_until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "ok")
    admin.config_set("save", "")


@contextmanager
def loading(server: Server, admin: redis.Redis) -> Iterator[str]:
    admin.mset({f"ballast-{number}": os.urandom(4096) for number in range(200)})
    admin.bgrewriteaof()
    wait_until(lambda: not admin.info("persistence")["aof_rewrite_in_progress"])
    server.stop()
    server.begin("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    wait_until(lambda: _refusal(admin) == "LOADING")
    yield "LOADING"
    wait_until(lambda: not _refusal(admin))
    admin.config_set("key-load-delay", 0)


def _refusal(admin: redis.Redis) -> str:
    try:
        admin.set("probe", 1)
    except redis.BusyLoadingError:
        return "LOADING"
    except redis.ConnectionError:
        return "gone"
    return ""


@contextmanager
def busy_script(server: Server, admin: redis.Redis) -> Iterator[str]:
    admin.config_set("busy-reply-threshold", 1)
    with redis.Redis(port=server.port, socket_timeout=60) as other:
        connection = other.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", 0)
        wait_until(lambda: "BUSY" in _answer(admin))
        yield "BUSY"
        admin.script_kill()
        with pytest.raises(redis.ResponseError):
            connection.read_response()
    admin.config_set("busy-reply-threshold", 5000)


def _answer(admin: redis.Redis) -> str:
    try:
        return str(admin.ping())
    except redis.ResponseError as error:
        return str(error)


@contextmanager
def other_password(server: Server, admin: redis.Redis) -> Iterator[str]:
    admin.config_set("requirepass", "another")
    execute(admin, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    execute(admin, "CLIENT", "KILL", "TYPE", "pubsub")
    yield "NOAUTH"
    execute(admin, "AUTH", "another")
    admin.config_set("requirepass", "")


@contextmanager
def foreign_key(server: Server, admin: redis.Redis) -> Iterator[str]:
    """Another program writes over the queue; here it is kept aside."""
    admin.select(1)
    admin.eval("if redis.call('exists', 'celery') == 1 then redis.call('rename', 'celery', 'aside') end return 1", 0)
    admin.set("celery", "another program's")
    yield "WRONGTYPE"
    admin.delete("celery")
    admin.eval("if redis.call('exists', 'aside') == 1 then redis.call('rename', 'aside', 'celery') end return 1", 0)


State = Callable[[Server, redis.Redis], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Running]:
    with lasting_task_project(tmp_path_factory, broker=f"{server.url}/1", backend=f"{server.url}/2") as tasks:
        yield run(tasks)


STATES = [
    replica,
    stale_replica,
    too_few_replicas,
    full_memory,
    no_snapshots,
    loading,
    busy_script,
    other_password,
    foreign_key,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_worker_beat_and_api_live_through_a_state_of_redis(running: Running, server: Server, state: State) -> None:
    name = state.__name__
    names = [f"{name} {number}" for number in range(20)]
    go = running.tasks.folder / "go"
    go.unlink(missing_ok=True)
    worker, beat = Since(running.worker), Since(running.beat)
    with running.tasks.sending() as api, administrator(server) as admin:
        jobs = running.tasks.module("jobs")
        results = [jobs.long_job.delay(f"{name} long"), *(jobs.job.delay(name) for name in names)]
        wait_until(lambda: f"{name} long begins" in running.done())
        with state(server, admin) as code:
            before = time.monotonic()
            answer = api.post(f"/jobs/{name}-meanwhile")
            look = api.get(f"/jobs/{results[0].id}")
            assert time.monotonic() - before < 10
            assert answer.status_code == 503, answer.text
            assert look.status_code in {200, 503}, look.text
            go.touch()
            wait_until(lambda: state is foreign_key or beat.says("beat cannot send for now"), what=code)
            wait_until(lambda: worker.says("the broker answers", "broker lost", "waits to be stored"), what=code)
        # This process, too, has to find out that the server answers again: before that it is refused at once.
        wait_until(lambda: api.get(f"/jobs/{results[0].id}").status_code == 200)
        wait_until(lambda: api.post(f"/jobs/{name}-again").status_code == 200)
        assert [result.get(timeout=90) for result in results] == [f"{name} long", *names]
        jobs.job.delay(f"{name} afterwards").get(timeout=60)
        wait_until(lambda: not worker.says("the broker answers", "lost") or worker.says("the worker takes tasks again"))
        wait_until(lambda: not beat.says("cannot send for now") or beat.says("beat goes on"))
    assert set(names) <= set(running.done())
    check_lines(worker, beat)


def test_tasks_that_redis_could_not_note_as_taken_or_done_are_noted_later(running: Running, server: Server) -> None:
    """It writes to its queues and not to its notes: so a task leaves its queue, and is noted nowhere."""
    go = running.tasks.folder / "go"
    go.unlink(missing_ok=True)
    worker = Since(running.worker)
    with running.tasks.sending(), administrator(server) as admin:
        admin.select(1)
        jobs = running.tasks.module("jobs")
        # No tick comes meanwhile: the worker would lose the broker over it, and note nothing until the end; and one
        # that waits behind the jobs is taken with them.
        running.beat.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not admin.llen("celery") and not admin.hlen("unacked"))
        both = [jobs.long_job.delay(name) for name in ("taken before", "taken before as well")]
        wait_until(lambda: sum("taken before" in line for line in running.done()) == 2)
        wait_until(lambda: not admin.llen("celery") and admin.hlen("unacked") == len(both))
        admin.eval("redis.call('rename', KEYS[1], 'aside') redis.call('set', KEYS[1], 'x')", 1, "unacked_index")
        go.touch()
        assert [result.get(timeout=60) for result in both] == ["taken before", "taken before as well"]
        # The worker knows, too, that they are done.
        wait_until(lambda: not admin.hlen("unacked"))
        running.beat.process.send_signal(signal.SIGCONT)
        late = jobs.job.delay("taken in between")
        wait_until(lambda: worker.says("WRONGTYPE"))
        assert "taken in between" not in running.done()
        admin.rename("aside", "unacked_index")
        assert late.get(timeout=90) == "taken in between"
        wait_until(lambda: not admin.hlen("unacked"))
    assert running.done().count("taken before") == running.done().count("taken before as well") == 1


def test_a_worker_that_waits_for_a_redis_that_cannot_write_can_be_stopped(running: Running, server: Server) -> None:
    with administrator(server) as admin, replica(server, admin):
        worker = running.tasks.start(CELERY_PARAMS="-c 1 -n second@%h")
        wait_until(lambda: worker.says("the broker answers"))
        assert worker.stop() == 0
