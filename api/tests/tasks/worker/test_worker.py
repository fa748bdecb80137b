"""How a worker starts, what reaches it, and what it does without its broker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opa.process.workers import available_cpus
from tests.project import Project
from tests.serve.process import own_memory, wait_until
from tests.servers import Server
from tests.tasks.workers import TaskProject, Worker, task_project

JOBS = """
from opa import Hook, task


@task
def where(number=0):
    from celery import current_task

    return [current_task.request.hostname, current_task.request.delivery_info["routing_key"], number]


@task(queue="math")
def add(a, b):
    return a + b
"""

WAITS = """
import asyncio

from opa import task

here = 0
all_are_here = asyncio.Event()


@task
async def meet(number):
    global here
    here += 1
    if here == number:
        all_are_here.set()
    await asyncio.wait_for(all_are_here.wait(), 15)
    return here


"""

HOOK = """
from opa import Hook


class Ours(Hook):
    name = "driver.celery.setup"

    def run(self, celery_app):
        celery_app.conf.task_default_queue = "ours"
        celery_app.conf.task_routes = {"jobs.add": "theirs"}
        return celery_app
"""


@pytest.fixture
def jobs(tasks: TaskProject) -> TaskProject:
    tasks.plugin("jobs.py", JOBS)
    return tasks


def says(worker: Worker, text: str) -> None:
    wait_until(lambda: worker.says(text), what=f"it says: {text}")


def test_celery_params_reach_the_command_line(jobs: TaskProject) -> None:
    worker = jobs.worker("-c 3 -Q math,celery -n 'us@%h'")
    assert len(worker.children) == 3
    assert "worker us@" in worker.log
    assert "with 3 (prefork) takes tasks from math, celery" in worker.log
    with jobs.sending():
        module = jobs.module("jobs")
        assert module.add.delay(1, 2).get(timeout=60) == 3
        assert module.where.delay().get(timeout=60)[0].startswith("us@")


def test_celery_command_takes_the_place_of_worker(jobs: TaskProject) -> None:
    jobs.worker("-c 1 -n one@here")
    inspect = jobs.start(CELERY_COMMAND="inspect", CELERY_PARAMS="ping")
    assert inspect.wait() == 0
    assert "one@here: OK" in inspect.log


def test_the_command_of_celery_works_by_hand(jobs: TaskProject) -> None:
    celery = str(Path(sys.executable).with_name("celery"))
    worker = jobs.start(celery, "-A", "opa.main", "worker", "-c", "1")
    worker.wait_until_ready()
    with jobs.sending():
        assert jobs.module("jobs").where.delay(7).get(timeout=60)[2] == 7
    assert worker.stop() == 0
    assert worker.lines


def test_a_worker_imports_no_command_of_celery_but_its_own(tasks: TaskProject) -> None:
    tasks.plugin("modules.py", "import sys\nfrom opa import task\n\n@task\ndef imported(): return [*sys.modules]")
    tasks.worker()
    with tasks.sending():
        found = tasks.module("modules").imported.delay().get(timeout=60)
    assert {"celery.bin.celery", "flower", "prompt_toolkit"}.isdisjoint(found)


def test_a_pool_of_threads_runs_as_many_tasks_side_by_side_in_one_process(tasks: TaskProject) -> None:
    tasks.plugin("waits.py", WAITS)
    worker = tasks.worker("-P threads -c 100")
    assert worker.children == []
    with tasks.sending() as client:
        meet = tasks.module("waits").meet

        async def all_meet() -> list[int]:
            sent = [await meet.send(100) for _ in range(100)]
            numbers: list[int] = await asyncio.gather(*(result.get(timeout=60) for result in sent))
            return numbers

        assert client.portal is not None
        # Each waits until all the others run.
        assert client.portal.call(all_meet) == [100] * 100


def test_without_a_number_there_is_a_process_for_each_cpu(jobs: TaskProject) -> None:
    assert len(jobs.worker("").children) == available_cpus()


def test_the_processes_of_a_worker_share_the_memory_of_the_plugins(tasks: TaskProject) -> None:
    tasks.plugin("large.py", "things = [[str(number)] for number in range(300_000)]")
    worker = tasks.worker("-c 2")
    assert max(own_memory(pid) for pid in worker.children) < 30, "the things alone take more than 40 MB"


def test_the_settings_say_how_many_processes_and_which_queue(jobs: TaskProject) -> None:
    jobs.settings(CELERY_WORKER_CONCURRENCY=3, CELERY_TASK_DEFAULT_QUEUE="small")
    worker = jobs.worker("")
    assert len(worker.children) == 3
    with jobs.sending():
        assert jobs.module("jobs").where.delay().get(timeout=60)[1] == "small"


def test_the_settings_route_tasks_and_set_options_of_one(jobs: TaskProject) -> None:
    jobs.settings(
        CELERY_TASK_ROUTES={"jobs.where": {"queue": "special"}},
        CELERY_TASK_ANNOTATIONS={"jobs.add": {"time_limit": 60}},
    )
    jobs.worker("-c 1 -Q special,math")
    with jobs.sending():
        module = jobs.module("jobs")
        assert module.where.delay().get(timeout=60)[1] == "special"
        assert module.add.delay(1, 2).get(timeout=60) == 3
        assert (module.add.time_limit, module.where.time_limit) == (60, 1620)


def test_a_queue_in_the_decorator_wins_over_the_routes(jobs: TaskProject) -> None:
    jobs.settings(CELERY_TASK_ROUTES={"jobs.*": {"queue": "nobody-is-here"}})
    jobs.worker("-c 1 -Q math")
    with jobs.sending():
        assert jobs.module("jobs").add.delay(1, 2).get(timeout=60) == 3


def test_queues_may_be_listed_in_the_settings_and_then_a_worker_takes_from_all(jobs: TaskProject) -> None:
    jobs.settings(CELERY_TASK_QUEUES={"celery": {}, "math": {}})
    worker = jobs.worker("-c 1")
    assert "takes tasks from celery, math" in worker.log
    with jobs.sending():
        assert jobs.module("jobs").add.delay(1, 2).get(timeout=60) == 3
        assert jobs.module("jobs").where.delay().get(timeout=60)[1] == "celery"


def test_the_setup_hook_changes_the_application_of_worker_and_api_alike(jobs: TaskProject) -> None:
    jobs.plugin("ours.py", HOOK)
    worker = jobs.worker("-c 1 -Q ours,theirs,math")
    with jobs.sending():
        assert jobs.module("jobs").where.delay().get(timeout=60)[1] == "ours"
    assert worker.stop() == 0


def test_a_worker_is_ready_when_it_takes_tasks_and_not_before(tasks: TaskProject) -> None:
    tasks.plugin(
        "slow.py", "import time\nfrom opa import Setup\n\nclass Slow(Setup):\n    run = lambda self: time.sleep(3)\n"
    )
    worker = tasks.start()
    says(worker, "takes tasks from")
    assert not worker.is_ready
    assert worker.health["reason"] == "it is not connected to the broker yet"
    worker.wait_until_ready()


def test_a_worker_waits_for_its_broker_and_works_soon_after_it_is_back(
    project: Project, start_redis: Callable[[], Server], redis_url: str
) -> None:
    """At start, and later; and nothing needs a restart, the sender neither (docker/test_workers.py: RabbitMQ)."""
    broker = start_redis()
    with task_project(project, broker=f"{broker.url}/1", backend=f"{redis_url}/2") as tasks:
        tasks.plugin("jobs.py", JOBS)
        with tasks.sending():
            where = tasks.module("jobs").where
            broker.stop()
            worker = tasks.start(CELERY_PARAMS="-c 1")
            says(worker, "Cannot connect to")
            assert not worker.is_ready
            broker.start()
            wait_until(lambda: worker.is_ready, seconds=10, what="the worker works again")
            assert where.delay(1).get(timeout=60)[2] == 1

            broker.stop()
            wait_until(lambda: not worker.is_ready, what="the worker knows that it has lost the broker")
            assert worker.health["reason"] == "it has lost the broker, or it is stopping"
            broker.start()
            wait_until(lambda: worker.is_ready, seconds=10, what="the worker works again")
            assert where.delay(2).get(timeout=60)[2] == 2
        assert worker.stop() == 0
        assert all(line["level"] for line in worker.lines)


def test_a_worker_that_waits_for_its_broker_can_be_stopped(project: Project, start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    with task_project(project, broker=f"{server.url}/1", backend=f"{server.url}/2") as tasks:
        server.kill()
        worker = tasks.start(CELERY_PARAMS="-c 1")
        says(worker, "Cannot connect to")
        assert worker.stop() == 0


UNFORESEEN = """
from pathlib import Path

from celery import signals


@signals.worker_ready.connect
def add(sender, **_):
    def fail():
        if Path("fail").exists():
            Path("fail").unlink()
            raise RuntimeError("nobody foresaw this")

    sender.hub.on_tick.add(fail)
"""


def test_an_unexpected_error_does_not_end_a_worker(jobs: TaskProject) -> None:
    jobs.plugin("unforeseen.py", UNFORESEEN)
    worker = jobs.worker()
    with jobs.sending():
        (jobs.folder / "fail").touch()
        says(worker, "nobody foresaw")
        assert jobs.module("jobs").add.apply_async((1, 2), queue="celery").get(timeout=40) == 3
        says(worker, "the worker takes tasks again")
    lines = [line for line in worker.lines if "nobody foresaw" in line["message"]]
    assert ["Traceback" in line["exception"]["traceback"] for line in lines] == [True]
    assert worker.stop() == 0


def test_a_wrong_password_of_the_broker_is_said_and_not_shown(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    import redis

    server = start_redis()
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("requirepass", "right")
    wrong = server.url.replace("//", "//:hunter2@")
    with task_project(project, broker=f"{wrong}/1", backend=f"{wrong}/2") as tasks:
        worker = tasks.start(CELERY_PARAMS="-c 1")
        wait_until(lambda: "password" in worker.log.lower(), what="it says what is wrong")
        worker.stop()
        assert "hunter2" not in worker.log


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_task_has_a_line_in_the_log_when_it_is_done_and_at_debug_one_when_it_has_come(
    jobs: TaskProject, level: str
) -> None:
    worker = jobs.worker(OPA_LOGLEVEL=level)
    with jobs.sending():
        task_id = jobs.module("jobs").where.delay().id
        wait_until(lambda: worker.says(f"[{task_id}] succeeded"), what="it is done")
    assert (f"[{task_id}] received" in worker.log) == (level == "debug")


def test_the_log_has_no_arguments_of_tasks(jobs: TaskProject) -> None:
    worker = jobs.worker("-c 1 -Q math")
    with jobs.sending():
        jobs.module("jobs").add.delay("hunter", 2).get(timeout=10, propagate=False)
    assert worker.stop() == 0
    lines = [line for line in worker.lines if "hunter" in line["message"] or "hunter" in str(line.get("extra"))]
    assert lines == []
    assert any(line.get("extra", {}).get("task") == "jobs.add" for line in worker.lines)
