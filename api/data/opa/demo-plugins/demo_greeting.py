"""A hook definition, its default, and a route that calls the hook. demo_greeting_formal.py fills it."""

from opa import Hook, HookDefinition, call_hook, get_router

router = get_router(prefix="/demo", tags=["demo"])


class demo_greeting(HookDefinition):  # noqa: N801 - the name of the class is the name of the hook
    """`run(name)` returns the greeting for someone."""

    required = True


class DefaultGreeting(Hook):
    """Called when no other plugin fills the hook: with -1 it loses against every hook of the usual order."""

    name = "demo_greeting"
    order = -1

    def run(self, name: str) -> str:
        """Greet informally."""
        return f"Hi {name}"


@router.get("/greeting/{name}")
async def greeting(name: str) -> dict[str, str]:
    """Greet someone in the way that the loaded plugins say."""
    return {"greeting": call_hook("demo_greeting", name)}
