"""The kind: a thing is taken for what its name says, though it is something else already."""

from __future__ import annotations

from tests.cases.place import Place, case


@case("B1", "A route or a task called ready, startup or shutdown is run when it is asked for, and only then")
def a_route_called_shutdown(place: Place) -> None:
    place.plugin(
        "machines.py",
        """
        from fastapi import Depends
        from opa import get_router, register, task

        router = get_router()

        def startup(token: str) -> str:
            return token

        @router.post("/machines/{machine}/shutdown")
        def shutdown(machine: int, token: str = Depends(startup)) -> str:
            return "off"

        @task
        def ready(machine: int) -> None: ...
        """,
    )
    seen = place.run("plugins")
    assert seen.returncode == 0, seen.stderr
    assert "/machines/{machine}/shutdown" in seen.stdout
    assert not [step for step in ("ready()", "startup()", "shutdown()") if step in seen.stdout], seen.stdout
    checked = place.run("check")
    assert checked.stdout.startswith("ok"), checked.stderr
