"""A plugin whose tasks have limits, and count in redis how many of them run."""

from __future__ import annotations

from typing import Any

import redis

from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject

TEXT = '''
import os
import time

import redis

from opa import TaskLimit, task

counts = redis.Redis.from_url({url!r})


def runs(name, seconds=0.0):
    """Count how many run at once, and wait until they may end."""
    now = counts.incr(f"now:{{name}}")
    counts.zadd("most", {{name: now}}, gt=True)
    counts.rpush(f"began:{{name}}", f"{{os.getpid()}} {{time.time()}}")
    until = time.time() + seconds
    while time.time() < until and not counts.exists(f"go:{{name}}"):
        time.sleep(0.02)
    counts.decr(f"now:{{name}}")
    counts.rpush(f"ended:{{name}}", os.getpid())


@task(concurrency=2)
def two(number, name, seconds=0.01):
    runs(name, seconds)
    counts.rpush(f"order:{{name}}", number)


@task(concurrency=TaskLimit(1, by="{{customer}}"))
def each(customer, name, seconds=60):
    runs(name, seconds)


@task(rate="5/3 seconds")
def paced(name):
    runs(name)


@task(unique="u:{{name}}", bind=True, max_retries=2)
def once(self, name, seconds=0.0, end=""):
    runs(name, seconds)
    if end == "fail":
        raise ValueError(name)
    if end == "retry":
        raise self.retry(countdown=1, kwargs={{"end": ""}}, args=(name,))
    return name


@task(unique="{{name}}", time_limit=2, soft_time_limit=None)
def short(name):
    runs(name, 60)


@task(unique="a:{{name}}", concurrency=3)
async def later(name):
    counts.rpush(f"ended:{{name}}", os.getpid())
    return name


@task
def fills(name):
    time.sleep(0.05)
    counts.rpush(f"ended:{{name}}", os.getpid())


@task
def free(name):
    counts.rpush(f"ended:{{name}}", os.getpid())
'''


class Jobs:
    """The plugin in a project, and what its tasks have counted."""

    def __init__(self, tasks: TaskProject, *, counts: str, limits: str) -> None:
        self.tasks = tasks
        self.counts: Any = redis.Redis.from_url(counts, decode_responses=True)
        self.limits: Any = redis.Redis.from_url(limits, decode_responses=True)
        self.counts.flushdb()
        tasks.project.component("AIOREDIS", "redis-aioredis", URL=limits)
        tasks.plugin("limited.py", TEXT.format(url=counts))

    @property
    def module(self) -> Any:
        return self.tasks.module("limited")

    def number(self, what: str, name: str) -> int:
        """How many have `began` or `ended`."""
        return int(self.counts.llen(f"{what}:{name}"))

    def pids(self, name: str) -> list[int]:
        """The processes in which they began."""
        return [int(entry.split()[0]) for entry in self.counts.lrange(f"began:{name}", 0, -1)]

    def times(self, name: str) -> list[float]:
        """When they began."""
        return [float(entry.split()[1]) for entry in self.counts.lrange(f"began:{name}", 0, -1)]

    def most(self, name: str) -> float:
        """How many ran at once."""
        return float(self.counts.zscore("most", name))

    def wait_until(self, what: str, name: str, number: int, *, seconds: float = 120) -> None:
        wait_until(
            lambda: self.number(what, name) >= number,
            seconds=seconds,
            what=lambda: f"{self.number(what, name)} of {number} have {what}",
        )

    def waits(self, result: Any) -> bool:
        """Whether a task is in a line."""
        return bool(self.limits.keys(f"*:wait:{result.id}:0"))

    def wait_until_renewed(self, result: Any) -> None:
        """Its worker has said once more that a task runs."""
        (hold,) = self.limits.keys(f"*:hold:{result.id}:0")
        left = [self.limits.pttl(hold)]

        def is_renewed() -> bool:
            left.append(self.limits.pttl(hold))
            return bool(left[-1] > left[-2])

        wait_until(is_renewed, what=f"{hold} is renewed")

    def let_go(self, name: str) -> None:
        """Those that run may end."""
        self.counts.set(f"go:{name}", 1)

    def begins_before_a_long_queue(self, name: str) -> bool:
        """Whether one that waits for its turn is not behind all that was sent meanwhile; `two` of two at once."""
        sent = [self.module.two.delay(number, name, 60) for number in range(3)]
        self.wait_until("began", name, 2)
        wait_until(lambda: any(map(self.waits, sent)), what="the third one waits")
        for _ in range(200):
            self.module.fills.delay(f"fills-{name}")
        self.let_go(name)
        self.wait_until("began", name, 3)
        return self.number("ended", f"fills-{name}") < 150

    def wait_until_unlocked(self, *, seconds: float = 60) -> None:
        """Nothing is held any more."""
        wait_until(lambda: not self.held(), seconds=seconds, what=lambda: f"held: {self.held()}")

    def held(self) -> list[str]:
        """The keys of what is held, or waited for."""
        found: list[str] = self.limits.keys("*:limits:*")
        return [key for key in found if not key.endswith((":awake", ":swept")) and ":done:" not in key]
