from __future__ import annotations

from tests.project import Project

EXITS = """
    import sys

    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware

    from opa import get_router

    router = get_router()

    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    middleware = [Middleware(Passing)]

    @router.get("/exits")
    async def exits():
        sys.exit(3)

    @router.get("/fine")
    async def fine():
        return 1
"""


def test_a_route_that_exits_behind_a_middleware_of_tasks_ends_its_own_request_alone(project: Project) -> None:
    project.plugin("exits.py", EXITS)
    with project.client(raise_server_exceptions=False) as client:
        assert client.get("/exits").status_code == 500
        assert client.get("/fine").status_code == 200
