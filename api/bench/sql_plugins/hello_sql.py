"""The plugin: what bare_sql.py does, in the stack."""

from typing import Annotated

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opa import Component, get_router

router = get_router()


@router.get("/hello")
async def hello(sql: Annotated[AsyncSession, Component("sql")]) -> dict[str, str]:
    """The same answer as the bare application's."""
    return {"message": str(await sql.scalar(text("SELECT 'hello'")))}
