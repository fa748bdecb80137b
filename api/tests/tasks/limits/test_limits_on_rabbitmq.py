"""Limits where RabbitMQ is the broker, which keeps what waits."""

from __future__ import annotations

import pytest

from tests.serve.process import wait_until
from tests.tasks.limits.jobs import Jobs
from tests.tasks.workers import TaskProject


@pytest.mark.docker
def test_limits_hold_and_every_task_runs_though_a_worker_is_killed(rabbit_tasks: TaskProject, redis_url: str) -> None:
    jobs = Jobs(rabbit_tasks, counts=f"{redis_url}/14", limits=f"{redis_url}/15")
    jobs.limits.flushdb()
    first, second = (jobs.tasks.worker(f"-c 2 -n {name}@%h") for name in ("first", "second"))
    with jobs.tasks.sending():
        assert jobs.begins_before_a_long_queue("lane")
        jobs.wait_until("ended", "lane", 3)
        sent = [jobs.module.two.delay(number, "crash", 200) for number in range(8)]
        once = {jobs.module.once.delay("crash-once", 200).id for _ in range(3)}
        jobs.wait_until("began", "crash", 2)
        wait_until(lambda: sum(map(jobs.waits, sent)) == 6, what="the others wait")
        jobs.wait_until("began", "crash-once", 1)
        for name in ("crash", "crash-once"):
            jobs.counts.decrby(f"now:{name}", len(set(jobs.pids(name)) & set(second.children)))
        second.destroy()
        assert {jobs.module.once.delay("crash-once").id} == once
        for _ in range(4):
            jobs.module.paced.delay("paced")
        jobs.let_go("crash")
        jobs.let_go("crash-once")
        jobs.wait_until("ended", "crash", 8, seconds=240)
        jobs.wait_until("ended", "crash-once", 1)
        jobs.wait_until("ended", "paced", 4)
        jobs.wait_until_unlocked(seconds=120)
    assert set(jobs.counts.lrange("order:crash", 0, -1)) == set(map(str, range(8)))
    assert jobs.most("crash") == 2
    assert jobs.most("crash-once") == 1
    assert first.process.poll() is None
