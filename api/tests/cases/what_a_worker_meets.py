"""The kind: what a worker meets that it did not expect ends it, or is told wrongly, or is waited for in vain.

B28 and B39 were right before; `tests/tasks/test_server_states.py` and `test_messages.py` have more of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tests import programs
from tests.cases.place import Place, case
from tests.cases.tasks_of_any_make import WITHOUT_SERVER
from tests.serve.process import wait_until
from tests.servers import redis_server
from tests.tasks.workers import Worker


@contextmanager
def worker(place: Place, environ: dict[str, str]) -> Iterator[Worker]:
    """`MODE=worker opa start` that takes tasks."""
    environ = place.environ | environ | {"CELERY_PARAMS": "-c 1 --without-mingle --without-gossip"}
    worker = Worker(place.folder, "worker", [programs.OPA, "start"], environ)
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        worker.destroy()


def on_redis(url: str) -> dict[str, str]:
    return {
        "OPA_OPTIONAL_COMPONENTS__CELERY__LOAD": "yes",
        "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL": f"{url}/1",
        "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BACKEND_URL": f"{url}/2",
    }


@case("B28", "A worker outlasts a redis that is read-only for some seconds, and no result is lost")
def a_redis_that_is_read_only(place: Place) -> None:
    place.plugin(
        "jobs.py",
        """
        import time
        from pathlib import Path
        from opa import task

        @task
        def slow(n):
            while not Path(__file__).with_name("may-end").exists():
                time.sleep(0.05)
            return n * 10
        """,
    )
    with redis_server(place.folder) as server, worker(place, on_redis(server.url)) as started:
        sent = place.run("shell", "-c", "import jobs; print(jobs.slow.delay(2).id)", **on_redis(server.url))
        task_id = sent.stdout.split()[-1]
        with redis.Redis.from_url(server.url) as admin:
            admin.execute_command("REPLICAOF", "127.0.0.1", "1")
            wait_until(lambda: admin.info("replication")["role"] == "slave")
            (place.plugins / "may-end").touch()
            try:
                wait_until(lambda: started.says("waits to be stored"))
            finally:
                admin.execute_command("REPLICAOF", "NO", "ONE")
        ask = f"jobs.slow.AsyncResult('{task_id}').get(timeout=30), jobs.slow.delay(0).get(timeout=30)"
        seen = place.run("shell", "-c", f"import jobs; print({ask})", **on_redis(server.url))
        assert seen.stdout.endswith("20 0\n"), seen.stdout + seen.stderr
        assert started.process.poll() is None


@case("B39", "A task that a worker does not know is kept, and its arguments are in no log")
def a_task_that_nobody_knows(place: Place) -> None:
    with redis_server(place.folder) as server, worker(place, on_redis(server.url)) as started:
        send = "get_instance('celery').send_task('nobody.knows', args=['my-password'])"
        place.run("shell", "-c", f"from opa import get_instance; {send}", **on_redis(server.url))
        wait_until(lambda: started.says("no plugin of this worker has the task 'nobody.knows'"))
        assert "my-password" not in started.log
        assert "discarded" not in started.log
        assert "nobody.knows" in place.run("tasks", "dead", **on_redis(server.url)).stdout


@case("B40", "The result of a task that keeps none is None at once")
def a_result_that_is_not_kept(place: Place) -> None:
    place.plugin("jobs.py", "from opa import task\n\n@task(ignore_result=True)\ndef quiet(): return 1\n")
    environ = {**WITHOUT_SERVER, "OPA_CELERY_TASK_ALWAYS_EAGER": "false"}
    seen = place.run("shell", "-c", "import jobs; print(await (await jobs.quiet.send()).get(timeout=9))", **environ)
    assert seen.stdout.endswith("None\n"), seen.stdout + seen.stderr
