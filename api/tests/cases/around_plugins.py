"""What opa-stack owes to every request (CORS, health, its pages) stood among the plugins' middleware and routes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import opa
from tests.cases.place import Place, case

ORIGIN = "http://localhost:3000"
CORS = f'default: {{ALLOW_ORIGINS: "{ORIGIN}"}}\n'
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-token"}

ASK = """
import json, sys
from starlette.testclient import TestClient
from opa.main import start_api

with TestClient(start_api(), raise_server_exceptions=False, follow_redirects=False) as client:
    answers = [client.request(method, path, headers=headers) for method, path, headers in json.load(sys.stdin)]
    print(json.dumps([[answer.status_code, dict(answer.headers), answer.text] for answer in answers]))
"""

GATE = """
    from fastapi import HTTPException
    from starlette.requests import Request
    from opa import get_router, register
    router = get_router()

    @register("middleware")
    def needs_token(request: Request):
        if "x-token" not in request.headers:
            raise HTTPException(401, "no token")

    @router.get("/x")
    def x() -> int:
        return 1
"""

HOSTS = """
    from starlette.middleware import Middleware
    from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=["example.com"]), Middleware(HTTPSRedirectMiddleware)]
"""

SPA = """
    from fastapi import HTTPException
    from opa import get_router
    router = get_router()

    @router.get("/{path:path}")
    def page(path: str):
        raise HTTPException(404, "no such page")
"""


def answers(place: Place, *requests: tuple[str, str, dict[str, str]], **environ: str) -> Any:
    """Status, headers and text of the answers to these requests (method, path, headers), in one process."""
    done = place.python(ASK, given=json.dumps(requests), **environ)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@case("B4", "Preflights and refusals of a plugin's middleware have the CORS headers")
def refused_by_middleware(place: Place) -> None:
    place.write("plugins/gate.py", GATE)
    place.write("settings/cors.yaml", CORS)
    preflight, refused = answers(place, ("OPTIONS", "/x", PREFLIGHT), ("GET", "/x", {"Origin": ORIGIN}))
    assert preflight[0] == 200
    assert refused[0] == 401
    for _, headers, _ in (preflight, refused):
        assert headers["access-control-allow-origin"] == ORIGIN


@case("B5", "The answer to an error that nothing caught has the CORS headers, and the page can read its id")
def unhandled_error(place: Place) -> None:
    place.write(
        "plugins/boom.py",
        """
        from opa import get_router
        router = get_router()

        @router.get("/boom")
        def boom():
            raise ValueError
        """,
    )
    place.write("settings/cors.yaml", CORS)
    ((status, headers, _),) = answers(place, ("GET", "/boom", {"Origin": ORIGIN}), OPA_REQUEST_ID="true")
    assert status == 500
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-expose-headers"] == "x-request-id"


@case("B6", "A page for every path hides neither the health routes nor the documentation; what collides is named")
def page_for_every_path(place: Place) -> None:
    place.write("plugins/spa.py", SPA)
    paths = ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json")
    assert [status for status, _, _ in answers(place, *(("GET", path, {}) for path in paths))] == [200] * len(paths)
    place.write("plugins/spa.py", SPA.replace("/{path:path}", "/healthz").replace("(path: str)", "()"))
    ((status, _, _),) = answers(place, ("GET", "/healthz", {}))
    assert status == 200
    warning = place.run("check").stderr
    assert "plugin 'spa' is never reached" in warning
    assert "HEALTH_URL" in warning


@case("B7", "Middleware for hosts, logins and https lets the health check through")
def middleware_that_refuses(place: Place) -> None:
    place.write("plugins/gate.py", GATE)
    place.write("plugins/hosts.py", HOSTS)
    file = str(place.folder / "h.json")
    place.start(WEB_CONCURRENCY="1", HEALTH_FILE=file)
    place.wait_until_ready()
    check = Path(opa.__file__).with_name("healthcheck.py")
    done = place.run_program(sys.executable, "-I", str(check), HEALTH_FILE=file)
    assert done.returncode == 0, done.stdout
    assert place.stop() == 0
