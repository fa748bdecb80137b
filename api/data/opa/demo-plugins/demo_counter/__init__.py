"""A plugin that is a package: a counter in redis. Without redis its routes answer 503 and say why."""

from opa import get_instance, get_router

router = get_router(prefix="/demo/counter", tags=["demo"])

KEY = "demo:counter"


@router.post("/async")
async def count_async() -> dict[str, int]:
    """Count through the asynchronous driver."""
    return {"counter": await get_instance("aioredis").incr(KEY)}


@router.post("/sync")
def count_sync() -> dict[str, int]:
    """Count through walrus, in a thread."""
    return {"counter": get_instance("walrus").incr(KEY)}
