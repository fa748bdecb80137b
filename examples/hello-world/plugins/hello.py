"""The smallest plugin: a router, and one route in it."""

from opa import get_router

router = get_router()


@router.get("/hello")
async def hello() -> str:
    return "Hello to you"
