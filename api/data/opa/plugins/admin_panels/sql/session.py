"""A session for each request of a panel, which is committed before the answer is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from opa import get_instance
from opa.admin import Panel
from opa.plugins.admin_panels.panel_view import call_what_is_done

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def in_session(request: Request, panel: Panel, answer: Callable[[], Awaitable[Response]]) -> Response:
    """What is answered, after its session has ended; an error as the answer rolls it back.

    Args:
        request: is answered.
        panel: says by its component of which database it is.
        answer: gives the answer, and finds the session at `request.state.session`.

    Raises:
        ComponentUnavailableError: the database is gone.
    """
    sessions: Any = get_instance(panel.component)
    async with sessions() as session:
        request.state.session = session
        if request.method not in SAFE_METHODS and session.get_bind().dialect.name == "sqlite":
            # What is read first is as it was when it is written: Python begins a transaction before a statement that
            # writes, and not before one that reads.
            await session.execute(text("BEGIN IMMEDIATE"))
        response = await answer()
        if response.status_code >= 400:
            await session.rollback()
            return response
        await session.commit()
    call_what_is_done(request)
    return response
