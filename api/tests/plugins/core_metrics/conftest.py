"""The metrics decide when they are imported whether they are there."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _imported_anew() -> None:
    """Tests of its parts, and of others, have imported them without METRICS."""
    for name in [name for name in sys.modules if name.startswith("opa.plugins.core_metrics")]:
        del sys.modules[name]
