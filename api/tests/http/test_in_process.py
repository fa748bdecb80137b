"""The application without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from opa import OpaError, get_plugin_manager, started_application
from tests.project import Project

STEPS = """
from pathlib import Path

from opa import get_router

router = get_router()

def startup():
    Path("started").touch()

def shutdown():
    Path("stopped").touch()
"""


def test_it_starts_and_stops_as_with_a_server(project: Project) -> None:
    project.plugin("steps.py", STEPS)
    project.prepare()

    async def do() -> None:
        async with started_application() as app:
            assert app.manager is get_plugin_manager()
            assert Path("started").exists()
            assert not Path("stopped").exists()

    asyncio.run(do())
    assert Path("stopped").exists()


@pytest.mark.parametrize(("step", "text"), [("startup", "no luck"), ("shutdown", "no luck"), ("ready", "no luck")])
def test_a_step_that_fails_is_told(project: Project, step: str, text: str) -> None:
    project.plugin("steps.py", f"def {step}():\n    raise ValueError('no luck')\n")
    project.prepare()

    async def do() -> None:
        async with started_application():
            assert step == "shutdown"

    with pytest.raises(OpaError, match=text):
        asyncio.run(do())


def test_an_error_in_the_block_stops_it_too(project: Project) -> None:
    project.plugin("steps.py", STEPS)
    project.prepare()

    async def do() -> None:
        async with started_application():
            raise LookupError("in the block")

    with pytest.raises(LookupError, match="in the block"):
        asyncio.run(do())
    assert Path("stopped").exists()
