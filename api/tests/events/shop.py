"""Plugins that emit events, and handle them."""

from __future__ import annotations

from tests.tasks.workers import TaskProject

ORDERS = """
    from fastapi import WebSocket
    from pydantic import BaseModel
    from opa import emit, emit_sync, get_router, state

    router = get_router()

    class Order(BaseModel):
        number: int

    @router.post("/orders/{number}")
    async def create(number: int) -> str:
        event = await emit("orders.created", Order(number=number))
        state.setdefault("here", []).append("answered")
        return event.id

    @router.post("/orders/{number}/sync")
    def create_sync(number: int) -> str:
        return emit_sync("orders.created", Order(number=number)).id

    @router.post("/paid")
    async def paid() -> None:
        payload = [1]
        event = await emit("bills.changed", payload)
        payload.append(2)
        event.payload.append(3)

    @router.post("/wrong")
    async def wrong() -> None:
        await emit("orders.created", {"number": "many"})

    @router.websocket("/live")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        await emit("orders.created", Order(number=1))
        await websocket.send_json(state["here"])
        await websocket.close()
"""
EVENTS = """
    import functools
    from typing import Annotated, Any
    from redis.asyncio import Redis
    from opa import Component, Event, get_instance, on, state
    from orders import Order

    def wrapped(function):
        @functools.wraps(function)
        def call(*arguments, **named):
            return function(*arguments, **named)
        return call

    def note(redis, handler: str, what: object):
        return redis.rpush(f"seen:{handler}", str(what))

    @on("orders.created")
    @wrapped
    async def model(order: Order, redis: Annotated[Redis, Component("aioredis")]):
        await note(redis, "model", repr(order))
        return object()

    @on("orders.created")
    @wrapped
    async def wrapped_alone(order: Order):
        note(get_instance("walrus"), "wrapped", order)

    @on("orders.*", "*.of-all")
    async def json(payload, event: Event, redis: Redis = Component("aioredis"), more: int = 3):
        await note(redis, "json", (payload, event.id, event.name, more))

    @on("orders.created", autoretry_for=(ValueError,), max_retries=1, default_retry_delay=0)
    def fails():
        raise ValueError("always")

    @on("bills.changed", here=True)
    def changes(payload: list[int]):
        payload.append(payload[0])
        raise SystemExit(3)

    @on("*.changed", here=True)
    async def is_unchanged(payload):
        state.setdefault("here", []).append(payload)

    @on("orders.created", here=True)
    @wrapped
    async def here(order: Order, event: Event):
        state.setdefault("here", []).append(f"async {order.number}")

    @on("orders.created", here=True)
    def here_too(*, event: Event):
        state.setdefault("here", []).append(f"def {event.name}")
        raise ValueError("of the handler")
"""


def write(tasks: TaskProject, url: str) -> None:
    tasks.plugin("orders.py", ORDERS)
    tasks.plugin("shop/__init__.py", "")
    tasks.plugin("shop/events.py", EVENTS)
    tasks.project.component("AIOREDIS", "redis-aioredis", URL=url)
    tasks.project.component("WALRUS", "redis-walrus", URL=url)
