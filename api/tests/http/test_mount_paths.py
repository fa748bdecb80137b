"""Mounts whose handling a plugin or an agent has replaced."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tests.project import Project

MOUNTED = """
from fastapi import FastAPI
from opa import get_router

router = get_router()
inner = FastAPI()


@inner.get("/hello")
def hello():
    return "hello"


router.mount("/inner", inner)
"""


def test_what_has_replaced_the_handling_of_mounts_is_called(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    async def handle(self: Mount, scope: Scope, receive: Receive, send: Send) -> Any:
        seen.append(self.path)
        await self.app(scope, receive, send)

    monkeypatch.setattr(Mount, "handle", handle)
    project.plugin("mounted.py", MOUNTED)
    with project.client() as client:
        assert client.get("/inner/hello").json() == "hello"
    assert seen == ["/inner"]
