"""Limits over the processes of an api."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path

from tests.serve.process import opa_in, wait_until

SHOP = """
    import os

    from opa import Actor, RateLimit, get_router, register

    router = get_router()


    @register("authenticators")
    async def badge(connection):
        return Actor(id=connection.headers["X-Badge"], kind="badge")


    @router.get("/process")
    async def process():
        return os.getpid()


    @router.get("/limited", dependencies=[RateLimit("100/minute")])
    async def limited():
        return "limited"
"""
ACTORS = [f"actor-{number}" for number in range(20)]
PROCESSES = 4
REQUESTS = 120


@contextmanager
def connections_to_each(port: int) -> Iterator[list[HTTPConnection]]:
    """Two to each process."""
    found: defaultdict[bytes, list[HTTPConnection]] = defaultdict(list)

    def are_complete() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/process")
        found[connection.getresponse().read()].append(connection)
        return len(found) == PROCESSES and all(len(several) >= 2 for several in found.values())

    try:
        wait_until(are_complete)
        yield [connection for several in found.values() for connection in several[:2]]
    finally:
        for connection in chain.from_iterable(found.values()):
            connection.close()


def burst(connection: HTTPConnection) -> list[tuple[str, int]]:
    """What each actor is answered to its share of requests over one connection, the actors in turn."""
    answers = []
    for _ in range(REQUESTS // (2 * PROCESSES)):
        for actor in ACTORS:
            connection.request("GET", "/limited", headers={"X-Badge": actor})
            answer = connection.getresponse()
            answer.read()
            answers.append((actor, answer.status))
    return answers


def test_four_processes_together_let_each_actor_pass_as_often_as_the_limit_says(tmp_path: Path, redis_url: str) -> None:
    with opa_in(tmp_path / "project") as opa:
        opa.plugin("shop.py", SHOP)
        component = "OPA_OPTIONAL_COMPONENTS__AIOREDIS__"
        opa.start(
            OPA_WORKERS=str(PROCESSES),
            OPA_PROJECT_ID=str(tmp_path),
            **{f"{component}LOAD": "yes", f"{component}OPTS__URL": redis_url},
        )
        opa.wait_until_ready()
        with connections_to_each(opa.port) as connections, ThreadPoolExecutor(len(connections)) as threads:
            began = time.monotonic()
            answers = list(chain.from_iterable(threads.map(burst, connections)))
        passed = Counter(actor for actor, status in answers if status == 200)
        assert {status for _, status in answers} == {200, 429}
        assert min(passed.values()) >= 100
        if time.monotonic() - began < 60:  # else some pass once more
            assert passed == dict.fromkeys(ACTORS, 100)
