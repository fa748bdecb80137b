"""A task and its route in one file. What the task raises is kept as its result."""

from __future__ import annotations

from fastapi import status

from opa import get_router, task

router = get_router(tags=["tasks"])


@task(queue="math")
def divide(dividend: int, divisor: int) -> float:
    """Divide, or fail."""
    return dividend / divisor


@router.post("/division", status_code=status.HTTP_202_ACCEPTED)
async def start(dividend: int, divisor: int) -> dict[str, str]:
    """Start a division."""
    sent = await divide.send(dividend, divisor)
    return {"task": sent.id}
