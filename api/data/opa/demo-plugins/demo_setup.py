"""A Setup: it runs in each process once the components are connected, and keeps what routes need later."""

from datetime import UTC, datetime

from fastapi import FastAPI
from starlette.requests import Request

from opa import Setup, get_router, log

router = get_router(prefix="/demo", tags=["demo"])


class DemoSetup(Setup):
    """Notes when the process became ready."""

    def __init__(self, app: FastAPI) -> None:
        app.state.demo_started = datetime.now(UTC)
        log.info("demo plugins are ready, try /demo/hello")


@router.get("/uptime")
async def uptime(request: Request) -> dict[str, float]:
    """Seconds since the process became ready."""
    return {"seconds": (datetime.now(UTC) - request.app.state.demo_started).total_seconds()}
