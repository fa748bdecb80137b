"""The plugin: what bare.py does, in the stack."""

from opa import get_router

router = get_router()


@router.get("/hello")
async def hello() -> dict[str, str]:
    """The same answer as the bare application's."""
    return {"message": "hello"}
