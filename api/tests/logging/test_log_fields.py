"""What plugins add to each line of the log."""

from __future__ import annotations

import json

import pytest

from opa import log, mask_text
from opa.current import current
from tests.project import Project

FIELDS = """
from opa import get_router, log, register

router = get_router()


@register("log_fields")
def broken():
    raise ValueError("no fields today")


@register("log_fields")
def fields():
    return {"tenant": "acme", "given": "by the plugin"}


@router.get("/logs")
async def logs():
    log.bind(given="by the line").info("a line")
"""


@pytest.fixture(autouse=True)
def _without_fields_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "log_fields", ())


def test_a_line_has_the_fields_of_plugins_and_its_own_win(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.plugin("fields.py", FIELDS)
    with project.client() as client:
        client.get("/logs")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["message"] == "a line"]
    assert line["extra"] == {"tenant": "acme", "given": "by the line"}


def test_a_later_application_without_them_has_none(project: Project) -> None:
    current.log_fields = (dict,)
    with project.client():
        assert "fields" not in {function.__name__ for function in current.log_fields}
        assert dict not in current.log_fields
    log.info("still written")


def test_plugins_can_mask_what_they_send_elsewhere() -> None:
    assert mask_text("redis://:hunter2@cache is gone") == "redis://:***@cache is gone"
