"""The group `around_process`: contexts in which a process serves."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.project import Project

AROUND = """
    from contextlib import contextmanager
    from opa import get_plugin_manager, get_router, log, register

    router = get_router()
    said = []

    @router.get("/said")
    def what():
        return said

    @register("around_process")
    @contextmanager
    def first():
        said.append(f"enter first with {type(get_plugin_manager()).__name__}")
        yield
        log.info("leave first")
        raise ValueError("planted at the end")

    @register("around_process")
    def broken():
        raise ValueError("planted")

    @register("around_process")
    @contextmanager
    def second():
        said.append("enter second")
        yield
        log.info("leave second")
"""


def test_each_is_entered_in_order_and_left_in_reverse_and_one_that_fails_holds_up_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("around.py", AROUND)
    with TestClient(project.app()) as client:
        assert client.get("/said").json() == ["enter first with PluginManager", "enter second"]
        assert "leave" not in capsys.readouterr().err
    said = capsys.readouterr().err
    assert said.index("leave second") < said.index("leave first")
    assert "planted at the end" in said
