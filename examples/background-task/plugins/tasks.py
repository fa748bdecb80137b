"""Work that goes on after the answer: one task at a time, however many processes and machines serve the API."""

from secrets import token_hex
from time import sleep
from typing import Annotated

from fastapi import BackgroundTasks, HTTPException, status
from walrus import Database, Lock

from opa import Component, get_router, log

router = get_router(tags=["tasks"])

Walrus = Annotated[Database, Component("walrus")]

LIMIT = 60_000
"""Milliseconds, more than a task takes. After them redis frees the lock of a process that is gone."""


@router.post(
    "/runone", status_code=status.HTTP_202_ACCEPTED, responses={409: {"description": "Another task is running"}}
)
def start(background_tasks: BackgroundTasks, walrus: Walrus) -> dict[str, str]:
    """Start a task, unless one is running."""
    task = token_hex(4)
    lock = walrus.lock("runone", ttl=LIMIT, lock_id=task)
    if not lock.acquire(block=False):
        raise HTTPException(status.HTTP_409_CONFLICT, "Another task is running")
    background_tasks.add_task(work, task, lock)
    return {"message": f"Triggered background task: {task}"}


@router.get("/runone")
def current(walrus: Walrus) -> dict[str, str | None]:
    """The task that is running, if there is one."""
    task = walrus.get(walrus.lock("runone").key)  # redis keeps the lock_id of whoever holds the lock
    return {"current_task": task.decode() if task else None}


def work(task: str, lock: Lock) -> None:
    """Runs when the answer has been sent; in a thread, since it is a plain `def`."""
    try:
        sleep(5)
        log.info("background task {} is done", task)
    finally:
        lock.release()
