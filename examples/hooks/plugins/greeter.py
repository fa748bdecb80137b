"""Defines the hook `fullname`, fills it for when nobody else does, and calls it."""

from opa import Hook, HookDefinition, call_hook, get_router

router = get_router()


class FullName(HookDefinition):
    """`run(firstname, surname)` returns how the two are written together."""

    name = "fullname"


class DefaultFullName(Hook):
    """With its order of -1 it gives way to every hook of the usual order 0."""

    name = "fullname"
    order = -1

    def run(self, firstname: str, surname: str) -> str:
        return f"{firstname} {surname}"


@router.get("/get-fullname/{firstname}/{surname}")
async def greet(firstname: str, surname: str) -> str:
    return f"Hello {call_hook('fullname', firstname, surname)}"
