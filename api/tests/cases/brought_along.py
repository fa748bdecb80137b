"""What a plugin brings along from elsewhere (an application, a registry) has a lifecycle of its own."""

from __future__ import annotations

from tests.cases.around_plugins import answers
from tests.cases.place import Place, case

MOUNTS = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from opa import get_router

    @asynccontextmanager
    async def life(app):
        app.state.db = "open"
        yield

    admin = FastAPI(lifespan=life)

    @admin.get("/db")
    def db() -> str:
        return getattr(admin.state, "db", "NOT STARTED")

    router = get_router(prefix="/p")
    router.mount("/admin", admin)
"""


@case("B34", "The lifespan of a mounted application runs, and a prefix that does not apply to it is told")
def mounted_application(place: Place) -> None:
    place.write("plugins/a.py", MOUNTS)
    ((status, _, text),) = answers(place, ("GET", "/admin/db", {}))
    assert (status, text) == (200, '"open"')
    warning = place.run("check").stderr
    assert "what plugin 'a' mounts is served at /admin, not at /p/admin" in warning, warning


@case("B35", "Where a plugin cannot be imported twice in a process, the error says why and what to do")
def second_application(place: Place) -> None:
    place.write(
        "plugins/m.py",
        """
        from prometheus_client import Counter
        orders = Counter("orders", "taken")
        """,
    )
    done = place.python("from opa.main import start_api; start_api(); start_api()")
    error = done.stderr.strip().splitlines()[-1]
    assert "Duplicated timeseries" in error, error
    assert "in this process" in error, error
    assert "one application for the whole run" in error, error
