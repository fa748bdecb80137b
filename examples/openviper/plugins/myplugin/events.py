"""What follows an order: it runs in a worker."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from myplugin.models import Order
from opa import Component, log, on


class Created(BaseModel):
    id: int


@on("orders.created")
async def confirm(created: Created, sql: Annotated[AsyncSession, Component("sql")]) -> None:
    """Confirm it; a second time does no harm."""
    order = await sql.get(Order, created.id)
    if order is None:
        log.info("the order {} is there no more", created.id)
    else:
        order.state = "confirmed"
