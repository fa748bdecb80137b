"""The plugin decides when it is imported whether the api serves tools."""

from __future__ import annotations

import sys

import pytest

from tests.plugins.mcp_tools.shop import write_shop
from tests.project import Project


@pytest.fixture(autouse=True)
def _imported_anew() -> None:
    """Tests of its parts have imported it before there was a project."""
    for name in [name for name in sys.modules if name.startswith("opa.plugins.mcp_tools")]:
        del sys.modules[name]


@pytest.fixture
def shop(project: Project) -> Project:
    write_shop(project)
    return project
