"""The console, and the metrics that it shows, decide when they are imported whether they are there."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _imported_anew() -> None:
    """Tests of its parts have imported it before there was a project."""
    for name in [name for name in sys.modules if name.startswith(("opa.plugins.console", "opa.plugins.core_metrics"))]:
        del sys.modules[name]
