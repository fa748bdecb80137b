"""`opa mcp tools`, and what `opa mcp` says where there can be no tools."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from opa.cli.commands import app
from tests.project import Project


def opa(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["mcp", *arguments])


def test_the_tools_are_shown_and_what_is_none(shop: Project) -> None:
    shown = opa("tools")
    assert shown.exit_code == 0
    assert "GET /orders/{number}" in shown.stdout
    assert "no tool: POST /photos: its body is multipart/form-data" in shown.stderr
    assert "no tool: GET /cookie: it needs the cookie kind" in shown.stderr


def test_where_nothing_has_a_tag_that_is_said(shop: Project) -> None:
    shop.settings(MCP_TAGS=["robots"])
    assert "no route and no task has a tag of MCP_TAGS (robots)" in opa("tools").stdout


@pytest.mark.parametrize("arguments", [(), ("tools",)])
def test_without_tags_it_says_what_to_set(shop: Project, arguments: tuple[str, ...]) -> None:
    shop.settings(MCP_TAGS=[])
    refused = opa(*arguments)
    assert refused.exit_code == 1
    assert "MCP_TAGS names no tag" in str(refused.exception or refused.stderr)
