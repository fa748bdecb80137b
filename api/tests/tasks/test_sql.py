"""Sessions in tasks: one for each run, committed when the function returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.tasks.workers import TaskProject

SHOP = """
import os
import signal
from pathlib import Path
from typing import Annotated

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from opa import Component, get_router, get_util, task

router = get_router()
Async = Annotated[AsyncSession, Component("sql")]
Sync = Annotated[Session, Component("sql_sync")]


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def ready():
    await get_util("sql").create_all(Base.metadata)


@router.get("/items")
async def names(sql: Async) -> list[str]:
    return list(await sql.scalars(select(Item.name).order_by(Item.name)))


@task
async def add(name: str, sql: Async, fails: bool = False) -> str:
    sql.add(Item(name=name))
    await sql.flush()
    if fails:
        raise ValueError(name)
    return name


@task
def add_sync(name: str, sql: Session = Component("sql_sync"), fails: bool = False) -> str:
    sql.add(Item(name=name))
    sql.flush()
    if fails:
        raise ValueError(name)
    return name


@task(bind=True, max_retries=3, default_retry_delay=0)
async def again(self, name: str, sql: Async) -> int:
    sql.add(Item(name=name))
    await sql.flush()
    if self.request.retries < 2:
        self.retry()
    return self.request.retries


@task
def killed(name: str, sql: Sync) -> str:
    sql.add(Item(name=name))
    sql.flush()
    if not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return name
"""


@pytest.mark.parametrize("params", ["-c 1", "-P threads -c 2"])
def test_a_task_commits_when_its_function_returns_and_rolls_back_when_it_raises(
    tasks: TaskProject, params: str
) -> None:
    url = f"sqlite:///{tasks.folder / 'shop.db'}"
    tasks.project.component("SQL", "sqlalchemy-async", URL=url)
    tasks.project.component("SQL_SYNC", "sqlalchemy", URL=url)
    tasks.plugin("shop.py", SHOP)
    tasks.worker(params)
    with tasks.sending() as client:
        jobs = tasks.module("shop")
        sends: list[Callable[..., Any]] = [jobs.add.delay, jobs.add_sync.delay]
        assert [send(f"item {number}").get(timeout=60) for number, send in enumerate(sends)] == ["item 0", "item 1"]
        for send in sends:
            with pytest.raises(ValueError, match="never"):
                send("never", fails=True).get(timeout=60)
        assert jobs.again.delay("item 2").get(timeout=60) == 2
        expected = ["item 0", "item 1", "item 2"]
        if params == "-c 1":  # a thread has no process to be killed in
            assert jobs.killed.delay("item 3").get(timeout=60) == "item 3"
            expected.append("item 3")
        assert client.get("/items").json() == expected
