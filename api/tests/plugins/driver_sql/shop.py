"""A plugin with a table, and routes that write and read it by both drivers."""

from __future__ import annotations

from typing import Any

from tests.project import Project

SHOP = """
    import asyncio
    from contextlib import nullcontext, suppress
    from typing import Annotated

    from fastapi import BackgroundTasks, Depends, HTTPException, Request
    from fastapi.responses import JSONResponse, StreamingResponse
    from sqlalchemy import ForeignKey, event, func, insert, select, text
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    from opa import Component, get_instance, get_router, get_util

    router = get_router()
    Async = Annotated[AsyncSession, Component("sql")]
    Sync = Annotated[Session, Component("sql_sync")]
    kept = []


    class Base(DeclarativeBase):
        pass


    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)
        of: Mapped[int | None] = mapped_column(ForeignKey("items.id", deferrable=True, initially="DEFERRED"))


    async def ready():
        await asyncio.gather(*(get_util("sql").create_all(Base.metadata) for _ in range(5)))


    async def first(sql: Async):
        sql.add(Item(name="of a dependency"))
        return sql


    @router.post("/async/{name}")
    async def add(name: str, sql: Async, status: int = 200, of: int | None = None):
        sql.add(Item(name=name, of=of))
        kept[:] = [sql]
        if status != 200:
            await sql.flush()
            raise HTTPException(status)
        return name


    @router.post("/sync/{name}")
    def add_sync(name: str, sql: Sync, status: int = 200, of: int | None = None):
        sql.add(Item(name=name, of=of))
        kept[:] = [sql]
        if status != 200:
            sql.flush()
            raise HTTPException(status)
        return name


    @router.get("/async")
    async def count(sql: Async):
        return await sql.scalar(select(func.count(Item.id)))


    @router.get("/sync")
    def count_sync(sql: Sync):
        return sql.scalar(select(func.count(Item.id)))


    @router.get("/async-kept")
    async def use_kept():
        return await kept[0].scalar(select(func.count(Item.id)))


    @router.get("/sync-kept")
    def use_kept_sync():
        return kept[0].scalar(select(func.count(Item.id)))


    @router.post("/shared")
    async def shared(sql: Async, other: Annotated[AsyncSession, Depends(first)]):
        assert sql is other
        return await sql.scalar(select(func.count(Item.id)))


    @router.post("/answer/{name}")
    async def answer(name: str, sql: Async):
        sql.add(Item(name=name))
        return JSONResponse({"detail": "not an exception"}, status_code=400)


    @router.post("/cancelled/{name}")
    async def cancelled(name: str, sql: Async):
        sql.add(Item(name=name))
        await sql.flush()
        asyncio.current_task().cancel()
        await asyncio.sleep(60)


    @router.post("/async-caught/{name}")
    async def caught(name: str, sql: Async, nested: bool = False):
        await sql.execute(insert(Item).values(name=name))
        try:
            async with sql.begin_nested() if nested else nullcontext():
                await sql.execute(insert(Item).values(name=name))
        except IntegrityError:
            return "caught"


    @router.post("/sync-caught/{name}")
    def caught_sync(name: str, sql: Sync, nested: bool = False):
        sql.execute(insert(Item).values(name=name))
        try:
            with sql.begin_nested() if nested else nullcontext():
                sql.execute(insert(Item).values(name=name))
        except IntegrityError:
            return "caught"


    @router.post("/async-nested/{name}")
    async def nested(name: str, sql: Async, status: int = 200):
        async with sql.begin_nested():
            number = await sql.scalar(select(func.count(Item.id)))
            sql.add(Item(name=f"{name} {number}"))
        with suppress(ZeroDivisionError):
            async with sql.begin_nested():
                await sql.execute(insert(Item).values(name=name))
                1 / 0
        if status != 200:
            raise HTTPException(status)


    @router.post("/sync-nested/{name}")
    def nested_sync(name: str, sql: Sync, status: int = 200):
        with sql.begin_nested():
            number = sql.scalar(select(func.count(Item.id)))
            sql.add(Item(name=f"{name} {number}"))
        with suppress(ZeroDivisionError):
            with sql.begin_nested():
                sql.execute(insert(Item).values(name=name))
                1 / 0
        if status != 200:
            raise HTTPException(status)


    @router.get("/left/{status}")
    async def left(status: int, sql: Async, cold: bool = False):
        if not cold:
            await sql.scalar(text("SELECT 1"))
        kept[:] = [asyncio.create_task(sql.scalar(text("SELECT 1 FROM pg_sleep(60)")))]
        await asyncio.sleep(0)
        if status != 200:
            raise HTTPException(status)


    @router.get("/left-unanswered/{name}")
    async def left_unanswered(name: str, sql: Async, cold: bool = False, cut: bool = False):
        if not cold:
            await sql.scalar(text("SELECT 1"))
        raw = (await (await sql.connection()).get_raw_connection()).driver_connection
        loop, transport = asyncio.get_running_loop(), raw._transport
        transport.pause_reading()
        # The answer comes once the end of the request closes the connection, or has given it back.
        for moment in ("close", "checkin"):
            event.listen(
                get_util("sql").engine.sync_engine,
                moment,
                lambda *_: loop.call_soon(raw.terminate if cut else transport.resume_reading),
                once=True,
            )
        kept[:] = [asyncio.create_task(sql.execute(insert(Item).values(name=name)))]
        await asyncio.sleep(0)
        raise HTTPException(409)


    @router.get("/async-left-reading")
    async def left_reading(sql: Async):
        kept[:] = [await sql.stream(text("SELECT generate_series(1, 1000)"))]
        return [number for number, in await kept[0].fetchmany(60)][-1]


    @router.get("/sync-left-reading")
    def left_reading_sync(sql: Sync):
        options = {"yield_per": 60}
        kept[:] = [sql.execute(text("SELECT generate_series(1, 1000)"), execution_options=options)]
        return [number for number, in kept[0].fetchmany(60)][-1]


    @router.post("/async-read-on/{name}")
    async def read_on(name: str, sql: Async):
        await sql.execute(insert(Item).values(name=name))
        try:
            await kept[0].fetchmany(60)
        except Exception as error:
            return type(error).__name__


    @router.post("/sync-read-on/{name}")
    def read_on_sync(name: str, sql: Sync):
        sql.execute(insert(Item).values(name=name))
        try:
            kept[0].fetchmany(60)
        except Exception as error:
            return type(error).__name__


    @router.get("/terminated")
    async def terminated(sql: Async):
        (await (await sql.connection()).get_raw_connection()).driver_connection.terminate()


    @router.get("/left-error")
    async def left_error():
        await asyncio.wait(kept)
        return type(kept[0].exception()).__name__


    @router.get("/sleep/{seconds}")
    async def sleep(seconds: float, sql: Async):
        return await sql.scalar(text("SELECT 1 FROM pg_sleep(:seconds)"), {"seconds": seconds})


    @router.get("/impatient/{seconds}")
    async def impatient(seconds: float, sql: Async, catch: bool = False):
        await sql.execute(insert(Item).values(name="impatient"))
        try:
            async with asyncio.timeout(seconds):
                await sql.scalar(text("SELECT 1 FROM pg_sleep(60)"))
        except TimeoutError:
            if not catch:
                raise HTTPException(504) from None


    @router.get("/sleep-sync/{seconds}")
    def sleep_sync(seconds: float, sql: Sync):
        return sql.scalar(text("SELECT 1 FROM pg_sleep(:seconds)"), {"seconds": seconds})


    @router.get("/other")
    async def other():
        return "works"
"""


def use_shop(project: Project, url: str, **opts: Any) -> Project:
    """The plugin, with both components at a database."""
    project.plugin("shop.py", SHOP)
    project.component("SQL", "sqlalchemy-async", URL=url, **opts)
    project.component("SQL_SYNC", "sqlalchemy", URL=url, **opts)
    return project
