from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opa import get_component, get_instance
from opa.context import context_to_change
from opa.core import breaker as breakers
from opa.core.breaker import Breaker, refused_component
from opa.core.component_use import uses_of_route
from opa.core.lifespan import running
from opa.errors import ComponentUnavailableError
from tests.project import Project
from tests.servers import wait_until


class GoneError(Exception):
    """What calls to the component of these tests raise where it does not answer."""


class Component:
    """Something that answers, refuses or hangs, and the breaker before it."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_gone = False
        self.hangs = threading.Event()
        self.hangs.set()
        self.breaker = Breaker(
            "thing",
            self.probe,
            is_outage=lambda error: isinstance(error, GoneError),
            refusal=GoneError,
        )

    def probe(self) -> None:
        self.asked += 1
        self.hangs.wait(60)
        if self.is_gone:
            raise GoneError("nobody is there")


def is_undecided(breaker: Breaker) -> bool:
    """Whether the component is being asked, and it is not known yet whether it answers."""
    return breaker.is_asking and not breaker._is_decided.is_set()


@pytest.fixture
def thing() -> Iterator[Component]:
    component = Component()
    loop = asyncio.new_event_loop()
    component.breaker.arm(loop)
    yield component
    component.breaker.disarm()
    component.hangs.set()
    loop.close()


def until(condition: Callable[[], Any]) -> None:
    wait_until(condition, seconds=10)


def test_calls_are_refused_once_one_has_failed_and_a_probe_too(thing: Component) -> None:
    thing.is_gone = True
    thing.breaker.check()
    thing.breaker.failed(GoneError("a call"))
    until(lambda: thing.breaker.is_open)
    with pytest.raises(GoneError, match="component 'thing' does not answer") as refused:
        thing.breaker.check()
    assert refused_component(refused.value) == "thing"
    assert "a call" in thing.breaker.reason


def test_calls_are_taken_again_once_a_probe_is_answered(thing: Component) -> None:
    thing.is_gone = True
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)
    thing.is_gone = False
    until(lambda: not thing.breaker.is_open)
    thing.breaker.check()
    assert thing.breaker.reason == ""


def test_a_component_that_hangs_is_refused_before_its_probe_has_an_end(thing: Component) -> None:
    thing.hangs.clear()
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)
    assert thing.asked >= 1
    thing.hangs.set()
    until(lambda: not thing.breaker.is_open)


def test_a_failed_call_does_not_open_the_breaker_while_the_component_answers(thing: Component) -> None:
    thing.breaker.failed(GoneError("one connection was lost"))
    until(lambda: thing.asked == 1 and not is_undecided(thing.breaker))
    thing.breaker.check()
    thing.breaker.failed(GoneError("another"))
    assert thing.asked == 1  # it has just answered


def test_an_error_that_is_no_outage_causes_no_probe(thing: Component) -> None:
    thing.breaker.failed(ValueError("wrong password"))
    thing.breaker.failed(asyncio.CancelledError())
    assert not is_undecided(thing.breaker)
    assert thing.asked == 0


def test_before_it_is_connected_a_component_is_not_asked() -> None:
    thing = Component()
    thing.breaker.failed(GoneError())
    assert not is_undecided(thing.breaker)


def test_a_disarmed_breaker_neither_refuses_nor_probes(thing: Component) -> None:
    thing.is_gone = True
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)
    thing.breaker.disarm()
    thing.breaker.check()
    until(lambda: not any("-thing" in thread.name for thread in threading.enumerate()))


def test_calls_in_threads_wait_for_the_moment_in_which_it_is_decided(thing: Component) -> None:
    thing.hangs.clear()
    thing.breaker.failed(GoneError())
    assert is_undecided(thing.breaker)
    with pytest.raises(GoneError):
        thing.breaker.check_in_thread()


def call(breaker: Breaker) -> None:
    breaker.check_in_thread()


def call_in_loop(breaker: Breaker) -> None:
    asyncio.run(breaker.checked())


@pytest.mark.parametrize("call", [call, call_in_loop])
def test_a_call_that_is_refused_has_the_component_asked_at_once(
    thing: Component, monkeypatch: pytest.MonkeyPatch, call: Callable[[Breaker], None]
) -> None:
    monkeypatch.setattr(breakers, "FIRST_PAUSE", 60)
    monkeypatch.setattr(breakers, "LONGEST_PAUSE", 60)
    monkeypatch.setattr(breakers, "ASKED_FOR", 10)
    thing.is_gone = True
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)
    thing.is_gone = False
    time.sleep(2 * breakers.AT_MOST_EVERY)
    call(thing.breaker)
    assert not thing.breaker.is_open


def test_coroutines_that_wait_for_it_to_be_decided_cost_the_event_loop_nothing_meanwhile(thing: Component) -> None:
    waiting, turns = 50, list[int]()

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def counted(when: float, callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
            turns.append(1)
            return call_at(when, callback, *args, **options)

        loop.call_at = counted  # type: ignore[method-assign,assignment]
        thing.breaker.failed(GoneError())
        found = await asyncio.gather(*(thing.breaker.checked() for _ in range(waiting)), return_exceptions=True)
        assert {type(each) for each in found} == {GoneError}

    thing.hangs.clear()
    asyncio.run(wait())
    assert len(turns) <= 2 * waiting


def test_coroutines_wait_no_longer_for_it_to_be_decided_than_threads(
    thing: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakers, "CONFIRMATION_TIMEOUT", 60)
    monkeypatch.setattr(breakers, "SATURATION_TIMEOUT", 0.1)
    thing.hangs.clear()
    thing.breaker.failed(GoneError())
    asyncio.run(asyncio.wait_for(thing.breaker.checked(), 10))
    assert is_undecided(thing.breaker)


def test_a_call_that_waits_in_an_asynchronous_guard_is_ended(thing: Component) -> None:
    thing.is_gone = True

    async def wait() -> None:
        async with thing.breaker.guard():
            thing.breaker.failed(GoneError())
            await asyncio.sleep(60)

    with pytest.raises(GoneError) as refused:
        asyncio.run(asyncio.wait_for(wait(), 10))
    assert refused_component(refused.value) == "thing"


def test_a_call_that_enters_an_asynchronous_guard_while_it_opens_is_refused(
    thing: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing.is_gone = True
    enter = asyncio.Timeout.__aenter__

    async def entering(scope: asyncio.Timeout) -> asyncio.Timeout:
        thing.breaker.failed(GoneError())
        until(lambda: thing.breaker.is_open)
        # Nobody is in the guard yet; those that are have been told when this is said.
        until(thing.breaker._is_heard.is_set)
        return await enter(scope)

    async def call() -> None:
        async with thing.breaker.guard():
            raise AssertionError("it was let in")

    monkeypatch.setattr(asyncio.Timeout, "__aenter__", entering)
    with pytest.raises(GoneError, match="does not answer"):
        asyncio.run(call())
    assert not thing.breaker._scopes


def test_a_guard_hears_of_the_failure_of_its_call(thing: Component) -> None:
    async def call() -> None:
        async with thing.breaker.guard():
            raise AssertionError("it was let in")

    thing.is_gone = True
    with pytest.raises(GoneError, match="a call"), thing.breaker.guard():
        raise GoneError("a call")
    until(lambda: thing.breaker.is_open)
    with pytest.raises(GoneError, match="does not answer"), thing.breaker.guard():
        raise AssertionError("it was let in")
    with pytest.raises(GoneError, match="does not answer"):
        asyncio.run(call())


def test_a_probe_may_use_the_client_that_the_breaker_guards(thing: Component) -> None:
    def probe() -> None:
        with thing.breaker.guard():
            Component.probe(thing)

    thing.breaker._probe = probe
    thing.is_gone = True
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)
    thing.is_gone = False
    until(lambda: not thing.breaker.is_open)


def test_when_open_calls_back_once_for_each_outage_and_keeps_nothing_alive(thing: Component) -> None:
    class Pool:
        let_go_of = 0

        def let_go(self) -> None:
            Pool.let_go_of += 1

    pool, gone = Pool(), Pool()
    thing.breaker.when_open(pool.let_go)
    thing.breaker.when_open(gone.let_go)
    del gone
    thing.is_gone = True
    thing.breaker.failed(GoneError())
    until(lambda: Pool.let_go_of == 1)


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_a_callback_of_when_open_that_fails_is_logged_and_keeps_no_other_from_its_turn(
    thing: Component, capsys: pytest.CaptureFixture[str], is_asynchronous: bool
) -> None:
    let_go = list[asyncio.AbstractEventLoop]()

    async def fail_later() -> None:
        raise OSError("no way to let go")

    def fail() -> None:
        raise OSError("no way to let go")

    async def end_all() -> None:
        let_go.append(asyncio.get_running_loop())

    async def wait() -> None:
        thing.breaker.arm(asyncio.get_running_loop())
        thing.breaker.failed(GoneError())
        while not let_go:
            await asyncio.sleep(0.01)
        assert let_go == [asyncio.get_running_loop()]

    thing.is_gone = True
    thing.breaker.when_open(fail_later if is_asynchronous else fail)
    thing.breaker.when_open(end_all)
    asyncio.run(asyncio.wait_for(wait(), 10))
    said = capsys.readouterr().err
    assert "calls to component 'thing' that wait for an answer are not released" in said
    assert "OSError: no way to let go" in said


@pytest.mark.filterwarnings("error")
def test_a_closed_event_loop_has_no_waiting_calls_to_release(
    thing: Component, capsys: pytest.CaptureFixture[str]
) -> None:
    async def end_all() -> None:
        raise AssertionError("there is no loop for it")

    assert thing.breaker.loop is not None
    thing.breaker.loop.close()
    thing.is_gone = True
    thing.breaker.when_open(end_all)
    thing.breaker.failed(GoneError())
    until(thing.breaker._is_heard.is_set)
    gc.collect()
    assert "are not released" not in capsys.readouterr().err


def refuse_threads(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Start no thread whose name begins so, as a process that has all that it may have; gives those that were not."""
    start, refused = threading.Thread.start, list[str]()

    def starting(thread: threading.Thread) -> None:
        if thread.name.startswith(names):
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    return refused


def test_without_a_thread_for_the_probe_calls_continue_and_the_next_failure_causes_a_probe(
    thing: Component, capsys: pytest.CaptureFixture[str]
) -> None:
    thing.is_gone = True
    with pytest.MonkeyPatch.context() as full:
        refuse_threads(full, "breaker-")
        thing.breaker.failed(GoneError())
    assert "component 'thing' cannot be asked whether it answers: can't start new thread" in capsys.readouterr().err
    thing.breaker.check_in_thread()
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)


def test_a_probe_that_gets_no_thread_is_no_answer_and_another_is_sent(thing: Component) -> None:
    with pytest.MonkeyPatch.context() as full:
        full.setattr(breakers, "FIRST_PAUSE", 0.01)
        full.setattr(breakers, "LONGEST_PAUSE", 0.01)
        refused = refuse_threads(full, "probe-")
        thing.breaker.failed(GoneError())
        until(lambda: thing.breaker.is_open and len(refused) > 2 * breakers.MAX_PROBES)
    until(lambda: not thing.breaker.is_open)
    assert not thing.breaker.is_asking


def test_probes_that_hang_for_ever_do_not_keep_it_from_being_found_that_the_component_is_back(
    thing: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakers, "CONFIRMATION_TIMEOUT", 0.02)
    monkeypatch.setattr(breakers, "PROBE_TIMEOUT", 0.02)
    monkeypatch.setattr(breakers, "PROBE_LIFE", 0.3)
    thing.hangs.clear()
    thing.breaker.failed(GoneError())
    until(lambda: thing.asked >= breakers.MAX_PROBES)
    thing.breaker._probe = lambda: None
    until(lambda: not thing.breaker.is_open)
    assert not thing.hangs.is_set()


@pytest.fixture
def endless(thing: Component) -> Iterator[list[str]]:
    """The component is asked by an `async def` that does not end; what comes of it."""
    ended: list[str] = []

    async def probe() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    thing.breaker._probe = probe
    thing.breaker.arm(loop)
    yield ended
    thing.breaker.disarm()
    until(lambda: not asyncio.all_tasks(loop))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_probe_in_the_event_loop_that_comes_to_no_end_is_cancelled_and_is_no_answer(
    thing: Component, monkeypatch: pytest.MonkeyPatch, endless: list[str]
) -> None:
    monkeypatch.setattr(breakers, "AWAITED_PROBE_LIFE", 0.1)
    thing.breaker.failed(GoneError())
    until(lambda: len(endless) > breakers.MAX_PROBES)  # each makes room for the next
    assert thing.breaker.is_open
    thing.breaker._probe = lambda: None
    until(lambda: not thing.breaker.is_open)


def test_a_probe_that_is_cancelled_is_no_answer(thing: Component) -> None:
    def probe() -> None:
        raise asyncio.CancelledError

    thing.breaker._probe = probe
    thing.breaker.failed(GoneError())
    until(lambda: thing.breaker.is_open)


def test_a_probe_that_would_end_the_process_has_been_answered(thing: Component) -> None:
    def probe() -> None:
        raise SystemExit(3)

    thing.breaker._probe = probe
    thing.breaker.failed(GoneError())
    until(lambda: not thing.breaker.is_asking)
    assert not thing.breaker.is_open


def test_routes_that_used_a_component_do_not_keep_it_alive_once_it_is_disconnected(thing: Component) -> None:
    def use() -> weakref.ref[Component]:
        first, second = Component(), Component()
        for component in (first, second):
            component.breaker.arm(thing.breaker.loop)  # type: ignore[arg-type]
        context_to_change().scope = {"endpoint": first}
        first.breaker.check_in_thread()
        second.breaker.check_in_thread()
        thing.breaker.check_in_thread()
        assert uses_of_route() == {first.breaker, second.breaker, thing.breaker}
        first.breaker.disarm()
        assert uses_of_route() == {second.breaker, thing.breaker}
        first.breaker.check_in_thread()  # a request that is still under way
        second.breaker.disarm()
        thing.breaker.disarm()
        assert not uses_of_route()
        return weakref.ref(first)

    gone = contextvars.copy_context().run(use)
    gc.collect()
    assert gone() is None


def test_an_endpoint_that_is_made_in_the_place_of_another_has_not_used_what_that_used(thing: Component) -> None:
    class Endpoint:
        __slots__ = ()

    def use() -> None:
        scope: dict[str, object] = {"endpoint": Endpoint()}
        context_to_change().scope = scope
        thing.breaker.check_in_thread()
        assert uses_of_route() == {thing.breaker}
        for _ in range(100):
            scope["endpoint"] = None
            scope["endpoint"] = Endpoint()
            assert not uses_of_route()

    contextvars.copy_context().run(use)


OWN = """
    from opa import Component, Driver, get_instance, get_router
    from typing import Annotated

    router = get_router()
    asked, connected, is_gone = [], [], []

    class GoneError(Exception):
        pass

    def decorated(function):
        return lambda self: function(self)

    class Own(Driver):
        name = "own"
        connection_errors = (GoneError,)

        CONNECT
            connected.append(1)
            if is_gone:
                raise GoneError("nobody is there")
            self.instance = self

        VALIDATE

        def ask(self):
            asked.append(1)
            if is_gone:
                raise GoneError("nobody is there")
            return "answer"

    @router.get("/threads")
    def in_thread():
        return get_instance("own").ask()

    @router.get("/loop")
    async def in_loop(own: Annotated[Own, Component("own")]):
        return own.ask()
"""
VALIDATE = {
    "def validate": "def validate(self): self.ask()",
    "async def validate": "async def validate(self): self.ask()",
    "decorated async def validate": "@decorated\n        async def validate(self): self.ask()",
    "none, but connect": "",
}
CONNECT = {
    "def connect": "def connect(self):",
    "async def connect": "async def connect(self):",
    "decorated async def connect": "@decorated\n        async def connect(self):",
}


def own_driver(validate: str = "def validate", connect: str = "def connect") -> str:
    return OWN.replace("VALIDATE", VALIDATE[validate]).replace("CONNECT", CONNECT[connect])


CASES = [
    ("/threads", "def validate", "def connect"),
    ("/loop", "def validate", "def connect"),
    ("/threads", "async def validate", "def connect"),
    ("/loop", "async def validate", "async def connect"),
    ("/threads", "decorated async def validate", "def connect"),
    ("/threads", "none, but connect", "def connect"),
    ("/loop", "none, but connect", "async def connect"),
    ("/threads", "none, but connect", "decorated async def connect"),
]


@pytest.mark.parametrize(("path", "validate", "connect"), CASES)
def test_a_component_of_a_users_own_driver_is_refused_and_used_again(
    project: Project, path: str, validate: str, connect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("own.py", own_driver(validate, connect))
    project.component("OWN", "own")
    with project.client() as client:
        own = importlib.import_module("own")
        assert client.get(path).json() == "answer"
        own.is_gone.append(1)
        assert client.get(path).status_code == 503
        wait_until(lambda: get_component("own").breaker.is_open, seconds=10)
        capsys.readouterr()
        refused = client.get(path)
        assert (refused.status_code, refused.json()) == (503, {"detail": "component 'own' does not answer"})
        assert "core_errors" not in capsys.readouterr().err  # one line has said it for all
        state = {"name": "own", "status": "does not answer"}
        assert state in client.get("/readyz").json()["components"]
        assert client.get("/readyz").status_code == 200
        with pytest.raises(ComponentUnavailableError):
            get_instance("own")
        own.is_gone.clear()
        wait_until(lambda: client.get(path).status_code == 200, seconds=10)
        assert "component 'own' answers again" in capsys.readouterr().err


def test_a_component_that_is_disconnected_is_asked_no_more(project: Project) -> None:
    project.plugin("own.py", own_driver())
    project.component("OWN", "own")
    manager = project.prepare()

    async def run() -> Breaker:
        async with running(manager):
            own = importlib.import_module("own")
            own.is_gone.append(1)
            breaker = manager.get_component("own").breaker
            breaker.failed(own.GoneError())
            await asyncio.to_thread(wait_until, lambda: breaker.is_open, seconds=10)
        return breaker

    assert not asyncio.run(run()).is_open
    wait_until(lambda: not any("breaker-own" in thread.name for thread in threading.enumerate()), seconds=10)
