"""Who is calling stands in the log: in lines of a plugin, of a request that fails, and of the access log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.http.access.badges import BADGES
from tests.serve.process import opa_in, wait_until
from tests.serve.raw import Raw, get

SHOP = """
    from typing import Annotated

    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from opa import Actor, Requires, get_actor, get_router, log

    router = get_router()

    async def passing(request, call_next):
        return await call_next(request)

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=passing)]

    @router.get("/known")
    def known(actor: Annotated[Actor, Requires()]):
        log.info("a line")
        return actor.id

    @router.get("/broken", dependencies=[Requires()])
    def broken():
        raise ValueError("broken")

    @router.get("/open")
    async def is_open():
        return get_actor() is None
"""


def test_the_actor_of_a_request_and_of_no_other_is_in_its_lines(tmp_path: Path) -> None:
    with opa_in(tmp_path / "project") as opa:
        opa.plugin("badges.py", BADGES)
        opa.plugin("shop.py", SHOP)
        opa.start(WEB_CONCURRENCY="1", OPA_ACCESS_LOG="true", OPA_LOG_FORMAT="json")
        opa.wait_until_ready()
        with Raw(opa.port) as client:
            # At once: the server starts the second request while it ends the first.
            client.send(get("/known", "X-Badge: anna") + get("/open") + get("/broken", "X-Badge: ben"))
            bodies = [client.answer()[2] for _ in range(3)]
        wait_until(lambda: '"path": "/broken", "route": "/broken"' in opa.log, what="the last line")
        opa.stop()
        lines: list[dict[str, Any]] = [json.loads(line) for line in opa.log.splitlines()]
    assert bodies[:2] == [b'"badge:anna"', b"true"]
    actors = {
        (line["logger"] == "uvicorn.access", extra.get("path") or line["message"]): extra.get("actor")
        for line in lines
        if (extra := line.get("extra", {}))
    }
    assert actors[False, "a line"] == "badge:anna"
    assert actors[True, "/known"] == "badge:anna"
    assert actors[True, "/open"] is None
    assert actors[True, "/broken"] == actors[False, "/broken"] == "badge:ben"
