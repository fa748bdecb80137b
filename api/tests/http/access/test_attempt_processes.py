"""Wrong credentials over the processes of an api."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from tests.http.access.badges import BADGES
from tests.serve.process import opa_in

SHOP = """
    from opa import Requires, get_router

    router = get_router(dependencies=[Requires()])

    @router.get("/closed")
    async def closed():
        return "closed"
"""
ALLOWED = 30
REQUESTS = 200


def status(port: int, badge: str, source: str = "127.0.0.1") -> int:
    """Over a connection of its own, which any of the processes may take."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    try:
        connection.request("GET", "/closed", headers={"X-Badge": badge})
        return connection.getresponse().status
    finally:
        connection.close()


def test_of_many_at_once_two_processes_answer_as_many_as_one_and_others_pass_meanwhile(
    tmp_path: Path, redis_url: str
) -> None:
    with opa_in(tmp_path / "project") as opa:
        opa.plugin("badges.py", BADGES)
        opa.plugin("shop.py", SHOP)
        component = "OPA_OPTIONAL_COMPONENTS__AIOREDIS__"
        opa.start(
            OPA_WORKERS="2",
            OPA_PROJECT_ID=str(tmp_path),
            **{f"{component}LOAD": "yes", f"{component}OPTS__URL": redis_url},
        )
        opa.wait_until_ready()
        with ThreadPoolExecutor(50) as threads:
            began = time.monotonic()
            wrong = [threads.submit(status, opa.port, "wrong") for _ in range(REQUESTS)]
            right = [threads.submit(status, opa.port, "anna", "127.0.0.2") for _ in range(20)]
            found = Counter(answer.result() for answer in wrong)
            took = time.monotonic() - began
            assert {answer.result() for answer in right} == {200}
        assert found[401] + found[429] == REQUESTS
        assert found[401] >= ALLOWED
        if took < 10:  # else one more is answered
            assert found[401] == ALLOWED
        lines = [line for line in opa.log.splitlines() if "wrong credentials from 127.0.0.1" in line]
        assert 1 <= len(lines) <= 2 * (1 + took / 60)  # of each process
