from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from opa.core.lifespan import running
from tests.project import Project
from tests.servers import Server

PLUGIN = """
    from redis.exceptions import ConnectionError
    from opa import Driver, get_instance, task

    class Line(Driver):
        name = "line"
        connection_errors = (ConnectionError,)

        def connect(self):
            self.instance = self

        def ask(self):
            raise ConnectionError("no line")

    def by_driver_of_the_users_own():
        get_instance("line_two").ask()

    @task
    def job(): ...

    async def by_pipeline():
        async with get_instance("aioredis").pipeline() as pipe:
            await pipe.set("n", 1).execute()

    async def by_another_of_the_driver():
        await get_instance("second").get("n")

    def by_lock():
        with get_instance("walrus").lock("mine", ttl=1000):
            pass

    def by_container():
        get_instance("walrus").Hash("mine")["a"] = 1

    def by_task():
        job.delay()

    class Holder:
        def __init__(self):
            self.other = get_instance("aioredis")

        def by_holder(self):
            get_instance("walrus").get("n")

    def by_object_that_holds_another():
        Holder().by_holder()

    def of_nobody():
        from redis.exceptions import ConnectionError
        raise ConnectionError("mine")
"""


@pytest.fixture
def raised(project: Project, start_redis: Callable[[], Server]) -> dict[str, list[str]]:
    """The components that are found for the error of each function of the plugin, the server being gone."""
    project.plugin("user.py", PLUGIN)
    server = start_redis()
    project.component("AIOREDIS", "redis-aioredis", URL=server.url)
    project.component("SECOND", "redis-aioredis", URL=server.url)
    project.component("WALRUS", "redis-walrus", URL=server.url)
    for name in ("LINE_ONE", "LINE_TWO"):
        project.component(name, "line", HOST="127.0.0.1")
    project.component("CELERY", "celery", BROKER_URL=server.url, BACKEND_URL=server.url)
    found: dict[str, list[str]] = {}

    async def run() -> None:
        manager = project.prepare()
        import user  # type: ignore[import-not-found]

        async with running(manager):
            server.stop()
            for name, function in vars(user).items():
                if name.startswith(("by_", "of_")):
                    try:
                        result: Any = function()
                        if result is not None:
                            await result
                    except Exception as error:
                        found[name] = sorted(manager.failed_components(error))

    with ExitStack() as stack:
        stack.callback(server.stop)
        asyncio.run(run())
    return found


def test_an_error_is_of_the_component_whose_client_was_at_work(raised: dict[str, list[str]]) -> None:
    assert raised == {
        "by_driver_of_the_users_own": ["line_two"],
        "by_pipeline": ["aioredis"],
        "by_another_of_the_driver": ["second"],
        "by_lock": ["walrus"],
        "by_container": ["walrus"],
        "by_task": ["celery"],
        "by_object_that_holds_another": ["walrus"],
        # Which one cannot be told.
        "of_nobody": ["aioredis", "celery", "line_one", "line_two", "second", "walrus"],
    }
