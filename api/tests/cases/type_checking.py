"""The kind: a type is looked for where only a name, or what stands beside the type, is needed."""

from __future__ import annotations

from tests.cases.place import Place, case


@case("B22", "Types below if TYPE_CHECKING do no harm where they are not needed, and otherwise are told in one line")
def names_of_the_type_checker(place: Place) -> None:
    text = """
        from __future__ import annotations
        from typing import TYPE_CHECKING, Annotated
        from opa import Component, Setup, get_router
        if TYPE_CHECKING:
            from fastapi import FastAPI
            from redis.asyncio import Redis
        router = get_router()

        @router.get("/n")
        async def n(redis: Annotated[Redis, Component("aioredis")]) -> int:
            return await redis.incr("n")

        class S(Setup):
            def __init__(self, app: FastAPI) -> None:
                app.state.x = 1
        """
    place.plugin("a.py", text)
    seen = place.run("check")
    assert seen.stdout.startswith("ok"), seen.stderr
    place.plugin("a.py", text.replace('Annotated[Redis, Component("aioredis")]', "Redis"))
    seen = place.run("check")
    assert seen.returncode == 1
    (line,) = seen.stderr.splitlines()
    assert "parameter 'redis' of GET /n of plugin 'a' has the type Redis" in line
    assert "a.py:10" in line


@case("B22-settings", "A type of a plugin's settings that only the type checker knows is told with what to do")
def settings_of_the_type_checker(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from opa import PluginSettings
        if TYPE_CHECKING:
            from datetime import timedelta

        class S(PluginSettings):
            every: timedelta | None = None
        """,
    )
    seen = place.run("check")
    assert seen.returncode == 1
    assert "the settings of plugin 'a' have the type timedelta, which is not there" in seen.stderr
    assert "a.py:8" in seen.stderr
