"""A page, and the orders behind it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, status
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, StringConstraints
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from myplugin.events import Created
from myplugin.models import Order
from opa import Component, emit, get_router, static_url

router = get_router(prefix="/orders", tags=["orders"])

Sql = Annotated[AsyncSession, Component("sql")]


class NewOrder(BaseModel):
    # PostgreSQL has no NUL in a text.
    item: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00]+$")]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create(new: NewOrder, request: Request, sql: Sql) -> dict[str, Any]:
    """Keep an order; its event is sent when it is committed, and not at all if it is not."""
    client = request.scope["my_plugin"]
    order = Order(item=new.item, cents=await client.price_of(new.item))
    sql.add(order)
    await sql.flush()
    await emit("orders.created", Created(id=order.id), session=sql)
    return {"id": order.id, "cents": order.cents, "from": client.url}


@router.get("")
async def show_all(sql: Sql) -> list[dict[str, Any]]:
    """The first hundred."""
    orders = await sql.scalars(select(Order).order_by(Order.id).limit(100))
    return [{"id": order.id, "item": order.item, "state": order.state} for order in orders]


@router.get("/page", response_class=HTMLResponse)
async def page() -> str:
    """A page with the files of the plugin, which fill it."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Orders</title>
<link rel="stylesheet" href="{static_url("myplugin", "orders.css")}">
<script type="module" src="{static_url("myplugin", "orders.js")}"></script>
</head>
<body><h1>Orders</h1><ul id="orders"></ul></body>
</html>
"""
