"""The smallest plugin: one route. It uses `double` from the file beside it."""

from demo_util import double

from opa import get_router

router = get_router(prefix="/demo", tags=["demo"])


@router.get("/hello")
async def hello(name: str = "world") -> dict[str, str]:
    """Greet someone."""
    return {"message": f"Hello, {name}!"}


@router.get("/double/{number}")
async def twice(number: int) -> dict[str, int]:
    """Double a number, with a function that another plugin has."""
    return {"number": double(number)}
