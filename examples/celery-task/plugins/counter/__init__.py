"""A plugin that is a package: the route here, and the task that it sends in tasks.py."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, status

from opa import get_router

from .tasks import count

router = get_router(tags=["tasks"])


@router.post("/counter/{to}", status_code=status.HTTP_202_ACCEPTED)
async def start(to: Annotated[int, Path(ge=1, le=1000)]) -> dict[str, str]:
    """Start to count up to a number, two a second."""
    sent = await count.send(to)
    return {"task": sent.id}
