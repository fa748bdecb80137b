"""The hello route twice: once with a limit of each address, which is never reached."""

from opa import RateLimit, get_router

router = get_router()


@router.get("/hello")
async def hello() -> dict[str, str]:
    """Without one."""
    return {"message": "hello"}


@router.get("/limited", dependencies=[RateLimit("1000000000/hour", by="address")])
async def limited() -> dict[str, str]:
    """With one."""
    return {"message": "hello"}
