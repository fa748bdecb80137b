from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.to_thread
import pytest

from opa._compat import anyio as compat_anyio
from opa.core.running import get_component
from opa.http import thread_limits
from opa.http.thread_limits import MIN_DRAINING_THREADS, ComponentLimiter, Share
from tests.project import Project
from tests.servers import wait_until

THREADS = 3

SLOW = """
    import threading
    import anyio.to_thread
    from typing import Annotated
    from opa import Component, Driver, get_instance, get_router

    router = get_router()
    goes_on = threading.Event()
    waiting = []
    lost = threading.Event()
    is_gone = []

    class Slow(Driver):
        name = "slow"
        connection_errors = (OSError,)

        def connect(self):
            self.instance = self

        def probe(self):
            if is_gone:
                goes_on.wait(30)
                raise OSError("gone")

        def ask(self):
            waiting.append(1)
            while not goes_on.wait(0.01):
                if lost.is_set():
                    raise OSError("gone")
            return "answer"

    @router.get("/slow")
    def slow():
        return get_instance("slow").ask()

    @router.get("/given")
    def given(slow: Annotated[Slow, Component("slow")]):
        return slow.ask()

    @router.get("/fails")
    def fails(slow: Annotated[Slow, Component("slow")]):
        raise OSError("gone")

    @router.get("/plain")
    def plain():
        return "plain"

    @router.get("/limit/{threads}")
    async def limit(threads: int):
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
"""


@pytest.fixture
def slow(project: Project) -> Iterator[Project]:
    project.plugin("slow.py", SLOW)
    project.component("SLOW", "slow")
    yield project
    import slow  # type: ignore[import-not-found]

    slow.goes_on.set()


def test_routes_that_wait_for_a_component_take_no_threads_from_others(slow: Project) -> None:
    with slow.client() as client, ThreadPoolExecutor(2 * THREADS) as threads:
        import slow as plugin

        client.get(f"/limit/{THREADS}").raise_for_status()
        plugin.goes_on.set()
        assert client.get("/slow").json() == "answer"  # from now on it is known what this route calls
        plugin.goes_on.clear()
        requests = [threads.submit(client.get, "/slow") for _ in range(2 * THREADS)]
        wait_until(lambda: len(plugin.waiting) == 1 + THREADS, seconds=10)
        assert client.get("/plain").json() == "plain"
        assert not any(request.done() for request in requests)
        plugin.goes_on.set()
        assert [request.result(30).json() for request in requests] == ["answer"] * 2 * THREADS


def test_a_request_that_waited_for_a_thread_until_its_component_was_refused_does_not_call_it(slow: Project) -> None:
    with slow.client() as client, ThreadPoolExecutor(2 * THREADS) as threads:
        import slow as plugin

        client.get(f"/limit/{THREADS}").raise_for_status()
        plugin.goes_on.set()
        assert client.get("/given").json() == "answer"
        plugin.goes_on.clear()
        plugin.is_gone.append(1)
        requests = [threads.submit(client.get, "/given") for _ in range(2 * THREADS)]
        wait_until(lambda: get_component("slow").breaker.is_open, seconds=10)
        plugin.goes_on.set()
        answers = sorted(request.result(30).status_code for request in requests)
        assert answers == [200] * THREADS + [503] * THREADS
        assert len(plugin.waiting) == 1 + THREADS


def test_requests_that_waited_for_a_thread_are_all_refused_when_the_first_call_fails(slow: Project) -> None:
    with slow.client() as client, ThreadPoolExecutor(3 * THREADS) as threads:
        import slow as plugin

        client.get(f"/limit/{THREADS}").raise_for_status()
        plugin.goes_on.set()
        assert client.get("/given").json() == "answer"
        plugin.goes_on.clear()
        breaker = get_component("slow").breaker
        breaker._trusted_until = math.inf  # it has just answered: that calls wait says nothing
        requests = [threads.submit(client.get, "/given") for _ in range(3 * THREADS)]
        wait_until(lambda: len(plugin.waiting) == 1 + THREADS, seconds=10)
        plugin.is_gone.append(1)
        breaker._trusted_until = 0.0
        plugin.lost.set()
        assert {request.result(30).status_code for request in requests} == {503}
        assert len(plugin.waiting) == 1 + THREADS


def test_while_it_is_found_out_whether_a_component_answers_no_request_is_given_it(slow: Project) -> None:
    with slow.client() as client:
        import slow as plugin

        plugin.is_gone.append(1)
        assert client.get("/fails").status_code == 503
        assert client.get("/given").status_code == 503
        assert not plugin.waiting


def test_the_number_of_threads_can_be_set_also_later(slow: Project) -> None:
    with slow.client() as client, ThreadPoolExecutor(2 * THREADS) as threads:
        import slow as plugin

        client.get("/limit/1").raise_for_status()
        plugin.goes_on.set()
        client.get("/slow").raise_for_status()
        plugin.goes_on.clear()
        requests = [threads.submit(client.get, "/slow") for _ in range(2 * THREADS)]
        wait_until(lambda: len(plugin.waiting) == 2, seconds=10)
        client.get(f"/limit/{THREADS}").raise_for_status()
        wait_until(lambda: len(plugin.waiting) == 1 + THREADS, seconds=10)
        plugin.goes_on.set()
        assert {request.result(30).status_code for request in requests} == {200}


def test_a_version_of_anyio_that_is_not_known_costs_no_start(slow: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat_anyio, "_asyncio", None)
    with slow.client() as client:
        assert client.get("/plain").json() == "plain"


def test_two_applications_in_an_event_loop_share_one_limit() -> None:
    async def install() -> None:
        thread_limits.install()
        first = anyio.to_thread.current_default_thread_limiter()
        thread_limits.install()
        assert anyio.to_thread.current_default_thread_limiter() is first
        assert isinstance(first, ComponentLimiter)
        assert await anyio.to_thread.run_sync(threading.get_ident) != threading.get_ident()
        assert first.borrowed_tokens == 0

    anyio.run(install)


class Requests:
    """As many as there may be hold a thread, others wait for one, and the component is refused from now on."""

    HEIGHT, WAITING = 4 * MIN_DRAINING_THREADS, 100

    def __init__(self) -> None:
        self.breaker: Any = Refused()
        self.share = Share(self.HEIGHT)
        self.share.breakers = frozenset[Any]({self.breaker})
        self.holding = [object() for _ in range(self.HEIGHT)]
        self.running = self.most = self.done = 0
        self.may_end = asyncio.Event()

    async def begin(self) -> list[asyncio.Task[None]]:
        for each in self.holding:
            self.share.acquire_on_behalf_of_nowait(each)
        tasks = [asyncio.create_task(self.one()) for _ in range(self.WAITING)]
        await self.until(lambda: self.share.statistics().tasks_waiting == self.WAITING)
        self.breaker.is_open = True
        return tasks

    async def one(self) -> None:
        borrower = object()
        await self.share.acquire_on_behalf_of(borrower)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.may_end.wait()
        await asyncio.sleep(0)
        self.running -= 1
        self.done += 1
        self.share.release_on_behalf_of(borrower)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)


class Refused:
    """All that a limit asks a breaker for."""

    is_open = False


def test_requests_that_waited_until_their_component_was_refused_run_a_few_at_a_time() -> None:
    async def drain() -> None:
        requests = Requests()
        for _outage in range(2):
            tasks = await requests.begin()
            requests.may_end.set()
            for each in requests.holding:
                requests.share.release_on_behalf_of(each)
            await asyncio.gather(*tasks)
            assert requests.most == MIN_DRAINING_THREADS
            await requests.until(lambda: requests.share.total_tokens == requests.HEIGHT)
            requests.breaker.is_open = False

    asyncio.run(drain())


def test_a_request_that_hangs_on_keeps_none_of_those_that_waited_from_a_thread() -> None:
    async def drain() -> None:
        requests = Requests()
        tasks = await requests.begin()
        requests.may_end.set()
        requests.share.release_on_behalf_of(requests.holding.pop())
        await asyncio.gather(*tasks)
        assert requests.most == 1  # the others still have theirs

    asyncio.run(drain())


def test_requests_that_waited_get_all_threads_once_others_work_on_without_their_component() -> None:
    async def drain() -> None:
        requests = Requests()
        tasks = await requests.begin()
        for each in requests.holding:
            requests.share.release_on_behalf_of(each)
        await requests.until(lambda: requests.running == requests.HEIGHT)
        requests.may_end.set()
        await asyncio.gather(*tasks)

    asyncio.run(drain())


def test_once_a_component_is_back_those_that_wait_get_all_threads() -> None:
    async def drain() -> None:
        requests = Requests()
        tasks = await requests.begin()
        requests.share.release_on_behalf_of(requests.holding.pop())
        requests.breaker.is_open = False
        for each in requests.holding:
            requests.share.release_on_behalf_of(each)
        await requests.until(lambda: requests.running == requests.HEIGHT)
        requests.may_end.set()
        await asyncio.gather(*tasks)

    asyncio.run(drain())
