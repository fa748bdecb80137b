"""The admin decides when it is imported whether it is there."""

from __future__ import annotations

import sys

import pytest

from tests.plugins.admin_panels.library import Library
from tests.project import Project


@pytest.fixture(autouse=True)
def _imported_anew() -> None:
    for name in [name for name in sys.modules if name.startswith("opa.plugins.admin_panels")]:
        del sys.modules[name]


@pytest.fixture
def library(project: Project) -> Library:
    """Books and authors in SQLite, with people who have a badge."""
    return Library(project)
