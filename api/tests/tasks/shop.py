"""A plugin whose tasks end in each way that there is."""

SHOP = """
import asyncio
import os
import time

from celery.exceptions import Ignore, Reject

from opa import get_router, log, task

router = get_router()


@task
def add(a, b=1, password=""):
    log.info("adding {}", a)
    return a + b


@task
async def awaited(a):
    log.info("in a coroutine \\x1b[31m")
    await asyncio.to_thread(log.info, "in its thread \\x1b[31m")
    await add.send(a)
    return "x" * 5000


@task
def fails(a):
    log.info("it will fail, password=hunter2")
    raise LookupError(f"no {a}")


@task(ignore_result=True)
def quiet(a):
    return a


@task
def unfit():
    return log  # no result that JSON has


@task(bind=True, max_retries=1)
def again(self):
    log.info("try {}", self.request.retries)
    if self.request.retries == 0:
        raise self.retry(exc=ValueError("not yet"), countdown=0)
    return "done"


@task
def kills():
    os.kill(os.getpid(), 9)


@task
def sleeps(seconds=60):
    for number in range(int(seconds * 5)):
        log.info("step {}", number)
        time.sleep(0.2)
    return "slept"


@task
async def sleeps_async():
    await asyncio.sleep(60)


@task
def rejects():
    raise Reject("no")


@task
def ignores():
    raise Ignore


@task(time_limit=1)
def limited():
    time.sleep(60)


@task
def talks(lines):
    for number in range(lines):
        log.info("line {} {}", number, "." * 1000)


@task
def long(text):
    return len(text)


@task
def noop():
    pass


@router.post("/add/{a}")
async def send(a: int):
    return (await add.send(a)).id
"""
