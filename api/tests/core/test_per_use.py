"""What components give for one use: in routes, setups, steps, tasks and commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from opa.checks.tasks import components_of_tasks
from opa.cli.command_session import CommandSession
from opa.core.manager import PluginManager
from opa.core.per_use_misfits import is_async
from opa.errors import OpaError, RegistrationError, SetupError
from tests.project import Project

DRIVERS = """
    import asyncio
    import threading
    from contextlib import asynccontextmanager, contextmanager

    from opa import Driver

    told = []


    class Session:
        def __init__(self, kind):
            self.kind = kind
            told.append(f"{kind} begins")

        def end(self, error):
            how = "commits" if error is None else f"rolls back, {type(error).__name__}"
            where = "loop" if is_on_loop() else "thread"
            told.append(f"{self.kind} {how}, in a {where}")


    def is_on_loop():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True


    class Asynchronous(Driver):
        name = "asynchronous"

        async def connect(self):
            self.instance = "the factory"

        @asynccontextmanager
        async def async_scope(self):
            session = Session("async")
            try:
                yield session
            except BaseException as error:
                await asyncio.sleep(0)
                session.end(error)
                raise
            await asyncio.sleep(0)
            if self.opts.get("FAILS") in told:
                raise ValueError("it cannot be committed")
            session.end(None)


    class Synchronous(Driver):
        name = "synchronous"

        def connect(self):
            self.instance = "the factory"

        @contextmanager
        def scope(self):
            session = Session("sync")
            try:
                yield session
            except BaseException as error:
                session.end(error)
                raise
            session.end(None)
"""
ROUTES = """
    import asyncio
    from typing import Annotated, Any

    from fastapi import BackgroundTasks, Depends, HTTPException, WebSocket
    from fastapi.responses import StreamingResponse

    import drivers
    from drivers import Session
    from opa import Component, Setup, get_instance, get_router, task

    router = get_router()
    Async = Annotated[Any, Component("desk")]
    Sync = Annotated[Any, Component("stall")]


    class SetUp(Setup):
        async def run(self, desk: Async):
            drivers.told.append(f"a setup has {desk.kind}")


    async def ready(desk: Async):
        drivers.told.append(f"ready has {desk.kind}")


    def startup(stall: Sync):
        drivers.told.append(f"startup has {stall.kind}")


    def told():
        return list(drivers.told)


    async def helper(desk: Annotated[Any, Component("DESK")]):
        return desk


    def thread_helper(stall: Sync):
        return stall


    async def around(desk: Async):
        yield desk
        drivers.told.append("a dependency ends")


    @router.get("/async")
    async def in_loop(desk: Async, again: Annotated[Any, Component("Desk")], other=Depends(helper)):
        return [desk.kind, desk is again is other, get_instance("desk")]


    @router.get("/sync")
    def in_thread(stall: Sync, other=Depends(thread_helper)):
        return [stall.kind, stall is other, get_instance("stall")]


    @router.get("/both")
    def both(stall: Sync, other=Depends(helper)):
        return [stall.kind, other.kind]


    @router.get("/refused/{code}")
    async def refused(code: int, desk: Async):
        raise HTTPException(code)


    @router.get("/thread-refused")
    def thread_refused(stall: Sync):
        raise HTTPException(409)


    @router.get("/around")
    async def with_dependency(desk=Depends(around)):
        return "done"


    @router.get("/stream")
    async def stream(desk: Async):
        async def lines():
            drivers.told.append("the answer begins")
            yield "done"

        return StreamingResponse(lines())


    @router.get("/background")
    async def background(desk: Async, tasks: BackgroundTasks):
        tasks.add_task(lambda: drivers.told.append("a background task runs"))


    @router.get("/cancelled")
    async def cancelled(desk: Async):
        asyncio.current_task().cancel()
        await asyncio.sleep(10)


    @router.websocket("/websocket")
    async def websocket(websocket: WebSocket, desk: Async):
        await websocket.accept()
        await websocket.send_json(told())


    @task
    async def count(by: int, desk: Async = None, *more: int):
        drivers.told.append(f"a task has {getattr(desk, 'kind', desk)}")
        if by < 0:
            raise ValueError("less than nothing")
        return [by, *more]


    @task(bind=True)
    def sell(self, stall: Annotated[Any, Component("stall")], article: str, times: int = 1):
        drivers.told.append(f"{self.name} has {stall.kind}")
        return article * times


    @task
    def wrong(desk: Async): ...
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("drivers.py", DRIVERS)
    project.component("DESK", "asynchronous", FAILS="fail")
    project.component("STALL", "synchronous")
    return project


@pytest.fixture
def client(shop: Project) -> Iterator[TestClient]:
    shop.plugin("shop.py", ROUTES)
    with shop.client(raise_server_exceptions=False) as client:
        yield client


def module(manager: PluginManager, plugin: str) -> Any:
    return next(found.plugin.module for found in manager.registry.objects if found.plugin.name == plugin)


def told(client: TestClient) -> list[str]:
    """What has happened since it was asked for last."""
    lines: list[str] = module(client.app.manager, "drivers").told  # type: ignore[attr-defined]
    found = lines.copy()
    lines.clear()
    return found


def test_each_use_of_a_component_has_something_of_its_own(client: TestClient) -> None:
    ended = {kind: f"{kind} commits, in a {where}" for kind, where in (("async", "loop"), ("sync", "thread"))}
    assert told(client) == [
        *("async begins", "a setup has async", ended["async"]),
        *("async begins", "ready has async", ended["async"]),
        *("sync begins", "startup has sync", ended["sync"]),
    ]
    assert client.get("/async").json() == ["async", True, "the factory"]
    assert told(client) == ["async begins", ended["async"]]
    assert client.get("/sync").json() == ["sync", True, "the factory"]
    assert told(client) == ["sync begins", ended["sync"]]
    assert client.get("/both").json() == ["sync", "async"]
    assert sorted(told(client)) == sorted(["sync begins", "async begins", *ended.values()])
    assert client.get("/refused/404").status_code == 404
    assert told(client) == ["async begins", "async rolls back, HTTPException, in a loop"]
    assert client.get("/refused/many").status_code == 422
    assert told(client) == ["async begins", "async rolls back, RequestValidationError, in a loop"]
    assert client.get("/thread-refused").status_code == 409
    assert told(client) == ["sync begins", "sync rolls back, HTTPException, in a thread"]


def test_it_ends_before_the_answer_begins(client: TestClient) -> None:
    told(client)
    assert client.get("/around").status_code == 200
    assert told(client) == ["async begins", "async commits, in a loop", "a dependency ends"]
    assert client.get("/stream").text == "done"
    assert told(client) == ["async begins", "async commits, in a loop", "the answer begins"]
    assert client.get("/background").status_code == 200
    assert told(client) == ["async begins", "async commits, in a loop", "a background task runs"]


def test_an_end_that_fails_is_no_success(client: TestClient) -> None:
    told(client)
    module(client.app.manager, "drivers").told.append("fail")  # type: ignore[attr-defined]
    answer = client.get("/async")
    assert answer.status_code == 500
    assert told(client) == ["fail", "async begins"]


def test_a_request_that_is_cancelled_ends_what_it_had(client: TestClient) -> None:
    told(client)
    client.get("/cancelled")
    assert told(client) == ["async begins", "async rolls back, CancelledError, in a loop"]


def test_a_websocket_has_one_for_as_long_as_it_is_open(client: TestClient) -> None:
    told(client)
    with client.websocket_connect("/websocket") as websocket:
        assert websocket.receive_json() == ["async begins"]
    assert told(client) == ["async begins", "async commits, in a loop"]


def test_a_run_of_a_task_has_one_and_its_message_none(client: TestClient) -> None:
    shop = module(client.app.manager, "shop")  # type: ignore[attr-defined]
    told(client)
    assert shop.count.apply((3,)).get() == [3]
    assert told(client) == ["async begins", "a task has async", "async commits, in a loop"]
    assert shop.count.apply((3, 4, 5)).get() == [3, 4, 5]
    told(client)
    with pytest.raises(ValueError, match="less than nothing"):
        shop.count.apply((-1,)).get()
    assert told(client) == ["async begins", "a task has async", "async rolls back, ValueError, in a loop"]
    assert shop.sell.apply(("a", 2)).get() == "aa"
    assert told(client) == ["sync begins", "shop.sell has sync", "sync commits, in a thread"]
    assert shop.sell.apply(kwargs={"article": "a"}).get() == "a"
    assert shop.sell("b", times=2) == "bb"
    told(client)
    assert asyncio.run(shop.count(1, desk="another")) == [1]
    assert told(client) == ["a task has another"]
    with pytest.raises(OpaError, match=r"the task 'wrong' is 'def' and asks for the component 'desk'"):
        shop.wrong.apply().get()
    names = list(client.app.manager.celery.signature_of("shop.sell").parameters)  # type: ignore[attr-defined]
    assert names == ["article", "times"]
    (finding,) = components_of_tasks(client.app.manager)  # type: ignore[attr-defined]
    assert "task 'shop.wrong' of plugin 'shop' is 'def' and asks for" in str(finding)


def test_a_task_cannot_have_a_component_that_has_no_name_to_give_it_by(shop: Project) -> None:
    shop.plugin(
        "a.py",
        """
        from typing import Annotated
        from opa import Component, task

        @task
        def one(stall: Annotated[object, Component("stall")], /): ...
        """,
    )
    manager = shop.prepare()
    with pytest.raises(
        RegistrationError, match="parameter 'stall' of a task asks for the component 'stall', and is pos"
    ):
        module(manager, "a").one.apply()


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ('def route(desk=Component("desk")): ...', "the route '/x' is 'def' and asks for the component 'desk', whose"),
        ('async def route(desk=Component("stall")): ...', "where it would hold the event loop"),
        ('async def route(desk=Component("desk")):\n    yield "a"', "the route '/x' yields what it answers"),
        (
            'async def route(desk=Depends(lambda desk=Component("desk"): desk)): ...',
            "the dependency '<lambda>' of the route '/x' is 'def' and asks for",
        ),
    ],
)
def test_a_route_that_cannot_use_what_it_gets_is_refused_at_the_start(shop: Project, route: str, problem: str) -> None:
    text = f"""from fastapi import Depends\nfrom opa import Component, get_router\n\nrouter = get_router()\n\n
@router.get("/x")\n{route}\n"""
    (shop.plugins / "a.py").write_text(text)
    with pytest.raises(RegistrationError, match="desk|stall") as caught:
        shop.app()
    assert problem in str(caught.value)
    assert caught.value.plugin == "a"
    assert "a.py:" in str(caught.value)


def test_a_route_of_a_router_in_a_router_is_refused_too(shop: Project) -> None:
    shop.plugin(
        "a.py",
        """
        from opa import Component, get_router

        inner, router = get_router(), get_router()

        @inner.get("/x")
        def route(desk=Component("desk")): ...

        router.include_router(inner, prefix="/in")
        """,
    )
    with pytest.raises(RegistrationError, match="the route '/x' is 'def'"):
        shop.app()


def test_a_step_that_cannot_use_what_it_gets_fails_the_start(shop: Project) -> None:
    shop.plugin("a.py", 'from opa import Component\ndef ready(desk=Component("desk")): ...')
    with (
        pytest.raises(Exception, match=r"ready\(\) of plugin 'a' is 'def' and asks for the component 'desk'"),
        shop.client(),
    ):
        pass


def test_a_setup_that_cannot_use_what_it_gets_is_found_by_the_check(shop: Project) -> None:
    from opa.checks.components import mistakes_at_start

    shop.plugin("a.py", 'from opa import Component\nasync def ready(stall=Component("stall")): ...')
    (error,) = mistakes_at_start(shop.prepare())
    assert isinstance(error, SetupError)
    assert "is 'async def' and asks for the component 'stall'" in str(error)


def test_a_command_has_one_for_each_call(shop: Project) -> None:
    manager = shop.prepare(mode="command")
    session = CommandSession(manager)

    async def count(desk: Any) -> str:
        return f"counted by {desk.kind}"

    def sell(stall: Any) -> str:
        raise ValueError(stall.kind)

    lines = module(manager, "drivers").told
    assert session.call(count, {"desk": "desk"}) == "counted by async"
    with pytest.raises(ValueError, match="sync"):
        session.call(sell, {"stall": "Stall"})
    with pytest.raises(OpaError, match="the command 'sell' is 'def' and asks for the component 'desk'"):
        session.call(sell, {"stall": "desk"})
    session.close()
    assert lines == [
        *("async begins", "async commits, in a loop"),
        *("sync begins", "sync rolls back, ValueError, in a thread"),
    ]


def test_a_driver_has_one_kind_of_scope(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from opa import Driver

        class Both(Driver):
            name = "both"
            def connect(self): ...
            def scope(self): ...
            def async_scope(self): ...
        """,
    )
    with pytest.raises(RegistrationError, match=r"driver 'both' has both scope\(\) and async_scope\(\)"):
        project.prepare()


def test_without_the_stack_of_fastapi_a_route_is_told_what_to_do(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa._compat.fastapi.exit_stacks.FUNCTION_STACK", "gone")
    client = TestClient(client.app)
    with pytest.raises(OpaError, match="does not say when the function of a route has returned"):
        client.get("/async")


class _Called:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize(("function", "expected"), [(_Called(), True), (_Called, False), (print, False)])
def test_what_is_awaited_is_known(function: Callable[..., Any], expected: bool) -> None:
    assert is_async(function) is expected
