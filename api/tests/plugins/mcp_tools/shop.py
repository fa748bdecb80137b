"""A project of which some routes and tasks are tools."""

from __future__ import annotations

from tests.project import Project

SHOP = '''
import asyncio
from typing import Annotated

from fastapi import Body, Cookie, Form, Header, HTTPException, Query, Request, UploadFile
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel

from opa import Actor, ComponentUnavailableError, Requires, get_request_id, get_router, limits

router = get_router()
AI = ["assistant"]


class Article(BaseModel):
    name: str
    parts: list["Article"] = []


class Order(BaseModel):
    article: Article
    count: int = 1


@router.get("/orders/today", operation_id="today")
def today() -> str:
    return "no tool"


@router.get("/orders/{number}", operation_id="get_order", tags=AI)
def get_order(number: str, part: Annotated[list[int], Query(description="which parts")] = [], lang: str | None = None):
    """Show an order."""
    return {"number": number, "parts": part, "lang": lang}


@router.get("/orders/{number}/secret", operation_id="secret")
def secret(number: str) -> str:
    return "no tool"


@router.post("/orders", operation_id="add_order", tags=AI)
def add_order(order: Order) -> Order:
    return order


@router.get("/files/{path:path}", operation_id="file", tags=AI)
def file(path: str) -> str:
    return path


@router.post("/form", operation_id="form", tags=AI)
def form(name: Annotated[str, Form()], sizes: Annotated[list[int], Form()] = []):
    return {"name": name, "sizes": sizes}


@router.get("/who", operation_id="who", tags=AI)
def who(actor: Annotated[Actor, Requires("orders:read")]):
    return {"id": actor.id, "kind": actor.kind}


@router.get("/seen", operation_id="seen", tags=AI)
def seen(
    request: Request,
    x_trace: Annotated[str | None, Header()] = None,
    authorization: Annotated[str | None, Header()] = None,
):
    host = request.headers["host"]
    return {"id": get_request_id(), "trace": x_trace, "client": request.client.host, "host": host}


@router.get("/gone", operation_id="gone", tags=AI)
def gone():
    raise ComponentUnavailableError("component 'mongodb' is not connected", component="mongodb")


@router.get("/refuses", operation_id="refuses", tags=AI)
def refuses():
    raise HTTPException(409, "the password=hunter2 was wrong")


@router.get("/fails", operation_id="fails", tags=AI)
def fails():
    raise LookupError("its details stay in the log")


@router.get("/moved", operation_id="moved", tags=AI)
def moved():
    return RedirectResponse("/elsewhere")


@router.get("/large", operation_id="large", tags=AI)
def large(size: int):
    return Response(b"x" * size, media_type="text/plain")


@router.get("/stream", operation_id="stream", tags=AI)
async def stream():
    async def parts():
        while True:
            yield b"x" * 100_000

    return StreamingResponse(parts(), media_type="text/plain")


@router.get("/events", operation_id="events", tags=AI)
async def events():
    async def parts():
        while True:
            yield b"data: x\\\\n\\\\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(parts(), media_type="text/event-stream")


@router.get("/picture", operation_id="picture", tags=AI)
def picture():
    return Response(b"\\\\x89PNG\\\\xff", media_type="image/png")


@router.get("/archive", operation_id="archive", tags=AI)
def archive():
    return Response(b"PK\\\\xff", media_type="application/zip")


@router.delete("/orders/{number}", operation_id="delete_order", tags=AI, status_code=204)
def delete_order(number: int) -> None:
    """Delete an order."""


@router.post("/small", operation_id="small", tags=AI)
@limits(body_bytes=100)
def small(body: Annotated[dict, Body()]):
    return body


STARTED, ENDED = [], []


@router.get("/slow", operation_id="slow", tags=AI)
async def slow():
    STARTED.append(1)
    try:
        await asyncio.sleep(3600)
    finally:
        ENDED.append(1)


@router.get("/slow/state", operation_id="slow_state", tags=AI)
async def slow_state():
    return {"started": len(STARTED), "ended": len(ENDED)}


@router.post("/photos", operation_id="photo", tags=AI)
def photo(picture: UploadFile):
    pass


@router.get("/cookie", operation_id="cookie", tags=AI)
def cookie(kind: Annotated[str, Cookie()]):
    pass


@router.get("/hidden", tags=AI, include_in_schema=False)
def hidden():
    pass
'''

BADGES = """
from opa import Actor, RefusedCredentialError, register

SCOPES = {
    "anna": {"mcp:*", "orders:read"}, "ben": {"mcp:use", "orders:read"}, "carl": {"orders:read"}, "dora": {"mcp:use"}
}


@register("authenticators")
class Badges:
    challenge = "Badge"

    async def __call__(self, connection):
        badge = connection.headers.get("X-Badge")
        if badge is None:
            return None
        if badge not in SCOPES:
            raise RefusedCredentialError("no such badge")
        return Actor(id=f"badge:{badge}", kind="badge", scopes=SCOPES[badge])
"""

TASKS = '''
import asyncio
from datetime import date

from pydantic import BaseModel

from opa import task


class Item(BaseModel):
    name: str
    count: int = 1


@task(tags=["assistant"])
def restock(item: Item, day: date, notes: list[str] = []):
    """Put items on the shelf."""
    return {"item": item.name, "count": item.count, "day": day.isoformat(), "kind": type(item).__name__}


@task(tags=["assistant"])
def fails(number: int = 3):
    raise LookupError(f"no {number}, password=hunter2")


@task(tags=["assistant"])
async def sleeps(seconds: float):
    await asyncio.sleep(seconds)


@task(tags=["assistant"])
def tells():
    return {"password": "hunter2", "name": "ada"}


@task(tags=["assistant"])
def odd(what: asyncio.Lock):
    pass


@task
def private():
    return "no tool"
'''


def write_shop(project: Project) -> None:
    """Its routes, and who may call them."""
    project.plugin("shop.py", SHOP.replace("\\\\", "\\"))
    project.plugin("badges.py", BADGES)
    project.settings(MCP_TAGS=["assistant"], REQUEST_ID=True)
