"""What an operator finds in the log of a process in production when a request has failed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serve.process import Opa, wait_until

SHOP = """
from opa import get_router, log

router = get_router(prefix="/shop")


@router.get("/orders/{number}")
async def order(number: int):
    log.info("looking for order {}", number)
    return 1 / 0


@router.get("/thread/{number}")
def in_thread(number: int):
    log.info("looking for order {}", number)
    return 1 / 0
"""


def lines(opa: Opa) -> list[dict[str, Any]]:
    return [json.loads(line) for line in opa.log.splitlines()]


def failures(opa: Opa) -> list[dict[str, Any]]:
    return [line for line in lines(opa) if line["level"] == "ERROR"]


@pytest.mark.parametrize("where", ["orders", "thread"])
def test_one_line_names_the_request_its_route_and_plugin_beside_the_exception(opa: Opa, where: str) -> None:
    opa.plugin("shop.py", SHOP)
    opa.start(WEB_CONCURRENCY="1", ENV="prod", OPA_LOG_FORMAT="json", OPA_REQUEST_ID="true")
    opa.wait_until_ready()
    url = f"http://127.0.0.1:{opa.port}/shop/{where}/7?token=hidden"
    request = urllib.request.Request(url, headers={"X-Request-ID": "from-the-proxy"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert (answer.code, answer.headers["x-request-id"]) == (500, "from-the-proxy")
        assert answer.read().decode().splitlines() == ["Internal Server Error", "request id: from-the-proxy"]
    (line,) = wait_until(lambda: failures(opa), what="the failure is logged")
    assert line["message"] == f"Exception in ASGI application: GET /shop/{where}/{{number}}, plugin shop"
    assert line["extra"] == {
        "request_id": "from-the-proxy",
        "method": "GET",
        "path": f"/shop/{where}/7",
        "route": f"/shop/{where}/{{number}}",
        "plugin": "shop",
    }
    assert line["exception"]["type"] == "ZeroDivisionError"
    assert "shop.py" in line["exception"]["traceback"]
    (before,) = (found for found in lines(opa) if found["message"] == "looking for order 7")
    assert before["extra"]["request_id"] == "from-the-proxy"
    assert opa.stop() == 0
    assert len(failures(opa)) == 1


def test_a_request_that_is_cut_off_when_the_process_stops_is_named(opa: Opa) -> None:
    opa.plugin(
        "shop.py",
        """
        import asyncio

        from opa import get_router, log

        router = get_router()


        @router.get("/hangs/{name}")
        async def hangs(name: str):
            log.info("it hangs")
            await asyncio.sleep(60)
        """,
    )
    opa.start(WEB_CONCURRENCY="1", OPA_LOG_FORMAT="json", OPA_GRACEFUL_TIMEOUT="1")
    opa.wait_until_ready()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(opa.get, "/hangs/here")
        wait_until(lambda: "it hangs" in opa.log, what="the request is there")
        assert opa.stop() == 0
        with pytest.raises(urllib.error.HTTPError) as caught:
            asked.result()
        caught.value.close()
    cut_off = [line for line in failures(opa) if "exception" in line]
    assert [line["message"] for line in cut_off] == ["Exception in ASGI application: GET /hangs/{name}, plugin shop"]
    assert cut_off[0]["extra"]["path"] == "/hangs/here"
