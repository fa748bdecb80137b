"""A plugin that emits events in transactions, and what is sent of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.testclient import TestClient

from opa.core.manager import PluginManager
from opa.events.names import FAN_OUT
from opa.events.relay import relay_of
from tests.project import Project

LIBRARY = """
    from typing import Annotated

    from fastapi import HTTPException
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from opa import Component, emit, emit_sync, get_instance, get_router, on, state

    router = get_router()
    Async = Annotated[AsyncSession, Component("sql")]
    Sync = Annotated[Session, Component("sql_sync")]


    @router.post("/async/{number}")
    async def lend(number: int, sql: Async, status: int = 200) -> int:
        await emit("library.lent", {"number": number}, session=sql)
        state.setdefault("here", []).append("emitted")
        if status != 200:
            raise HTTPException(status)
        return number


    @router.post("/sync/{number}")
    def lend_sync(number: int, sql: Sync, status: int = 200) -> int:
        emit_sync("library.lent", {"number": number}, session=sql)
        state.setdefault("here", []).append("emitted")
        if status != 200:
            raise HTTPException(status)
        return number


    @router.post("/savepoints")
    async def savepoints(sql: Async) -> None:
        await emit("library.lent", {"number": 1}, session=sql)
        async with sql.begin_nested():
            await emit("library.lent", {"number": 2}, session=sql)
            try:
                async with sql.begin_nested():
                    await emit("library.lent", {"number": 3}, session=sql)
                    raise ValueError
            except ValueError:
                pass
        async with sql.begin_nested() as savepoint:
            await emit("library.lent", {"number": 4}, session=sql)
            await savepoint.rollback()
        await emit("library.lent", {"number": 5}, session=sql)


    @router.post("/own")
    async def own() -> None:
        async with get_instance("sql")() as session:
            await emit("library.lent", {"number": 1}, session=session)
            await session.commit()
            await emit("library.lent", {"number": 2}, session=session)
            await session.rollback()
            await emit("library.lent", {"number": 3}, session=session)
            await session.commit()
            await emit("library.lent", {"number": 4}, session=session)  # never committed


    @router.get("/isolation")
    async def isolation(sql: Async) -> str:
        return await sql.scalar(text("SHOW transaction_isolation"))


    @router.post("/wrong/{which}")
    async def wrong(which: str, sql: Async) -> None:
        given = {"sync": get_instance("sql_sync")(), "none": object(), "async": sql}[which]
        payload = {"number": "a" * 2_000_000} if which == "async" else {}
        await emit("library.lent", payload, session=given)


    @router.post("/wrong-sync")
    def wrong_sync() -> None:
        emit_sync("library.lent", {}, session=get_instance("sql")())


    @on("library.lent", here=True)
    async def here(payload: dict) -> None:
        state.setdefault("here", []).append(payload["number"])
"""


@dataclass
class Library:
    """The plugin in an application without a worker; what is sent is noted, and goes nowhere.

    Attributes:
        client: asks it.
        sent: names of tasks, with their arguments.
        failure: what sending raises, where it does.
    """

    client: TestClient
    manager: PluginManager
    sent: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, Any]] = field(default_factory=list)
    failure: Exception | None = None

    def send(self, _producer: Any, name: str, message: Any, **options: Any) -> None:
        if self.failure is not None:
            raise self.failure
        body = message.body if isinstance(message.body, tuple) else json.loads(message.body)
        self.headers.append(options.get("headers") or {})
        self.sent.append((name, list(body[0])))

    def relay(self, component: str = "sql") -> list[int]:
        """Send what waits, as a worker does, and give the numbers of the events that were sent by now."""
        portal: Any = self.client.portal
        portal.call(relay_of(self.manager).send, component)
        return self.numbers

    @property
    def numbers(self) -> list[int]:
        return [arguments[0]["payload"]["number"] for name, arguments in self.sent if name == FAN_OUT]


@contextmanager
def library(project: Project, url: str, **opts: Any) -> Iterator[Library]:
    """The plugin, with both components at a database."""
    project.plugin("library.py", LIBRARY)
    project.component("SQL", "sqlalchemy-async", URL=url, **opts)
    project.component("SQL_SYNC", "sqlalchemy", URL=url, **opts)
    project.component("CELERY", "celery", BROKER_URL="memory://localhost/", BACKEND_URL="")
    project.settings(REQUEST_ID=True)
    with project.client() as client:
        application: Any = client.app
        found = Library(client, application.manager)
        found.manager.celery.amqp.send_task_message = found.send
        yield found
