"""The bare application with a session for each request, as one writes it by hand: committed before the answer."""

import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

app = FastAPI()
engine = create_async_engine(os.environ["BENCH_SQL_URL"], pool_size=10, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)


async def new_session() -> AsyncIterator[AsyncSession]:
    """A session that is committed if the route returns."""
    async with sessions() as session:
        yield session
        await session.commit()


@app.get("/hello")
async def hello(sql: Annotated[AsyncSession, Depends(new_session, scope="function")]) -> dict[str, str]:
    """The same answer as the plugin's."""
    return {"message": str(await sql.scalar(text("SELECT 'hello'")))}
