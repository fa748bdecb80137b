"""The console decides when it is imported whether it is there."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _imported_anew() -> None:
    """Tests of its parts have imported it before there was a project."""
    for name in [name for name in sys.modules if name.startswith("opa.plugins.console")]:
        del sys.modules[name]
