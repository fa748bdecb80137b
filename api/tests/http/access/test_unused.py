"""What nobody uses is not imported."""

from __future__ import annotations

from pathlib import Path

from tests.serve.process import opa_in, wait_until

PLUGIN = """
import sys

from opa import get_router

router = get_router()


@router.get("/imported")
async def imported():
    return sorted(name for name in sys.modules if name.startswith(("opa.access", "opa.http.access")))
"""


def test_a_project_that_requires_no_actor_imports_nothing_that_finds_one(tmp_path: Path) -> None:
    with opa_in(tmp_path / "project") as opa:
        opa.plugin("imported.py", PLUGIN)
        opa.start()
        wait_until(lambda: opa.answers("/imported"), what=lambda: opa.log)
        # The error by which a handshake is refused, for which the application has a handler.
        assert opa.get("/imported") == ["opa.http.access", "opa.http.access.refusals"]
