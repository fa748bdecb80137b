"""What time it is, and how months are called."""

from calendar import month_name
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path

from opa import get_router

# The tag groups these routes in the documentation of the API.
router = get_router(tags=["clock"])


@router.get("/time")
async def show_time(format: str = "%Y-%m-%d %H:%M:%S") -> str:
    """The time in UTC, written as `format` says."""
    return datetime.now(UTC).strftime(format)


@router.get("/month/{month}")
async def show_month(month: Annotated[int, Path(ge=1, le=12)]) -> str:
    """The name of a month."""
    return month_name[month]
