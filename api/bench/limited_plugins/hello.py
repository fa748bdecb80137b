"""The hello route three times: with a limit that is never reached, and for those alone who have a key."""

from opa import RateLimit, Requires, get_router

router = get_router()


@router.get("/hello")
async def hello() -> dict[str, str]:
    """Without one."""
    return {"message": "hello"}


@router.get("/limited", dependencies=[RateLimit("1000000000/hour", by="address")])
async def limited() -> dict[str, str]:
    """With one."""
    return {"message": "hello"}


@router.get("/guarded", dependencies=[Requires("bench:use"), RateLimit("1000000000/hour", by="actor")])
async def guarded() -> dict[str, str]:
    """With a limit, for who has a key."""
    return {"message": "hello"}
