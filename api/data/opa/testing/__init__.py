"""Tests of plugins by pytest: the types of the fixtures, for annotations.

The fixtures themselves are in `opa.testing.pytest_plugin`, which pytest finds by its entry point. Every session of
pytest imports these two modules, so they import nothing else before a test asks for a fixture.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.testing.application import OpaApp
    from opa.testing.clients import OpaAsyncClient, OpaClient
    from opa.testing.schedule import DueTask, OpaSchedule
    from opa.testing.tasks import OpaTasks, SentTask

__all__ = ["DueTask", "OpaApp", "OpaAsyncClient", "OpaClient", "OpaSchedule", "OpaTasks", "SentTask"]

_HOME = {
    "DueTask": "schedule",
    "OpaApp": "application",
    "OpaAsyncClient": "clients",
    "OpaClient": "clients",
    "OpaSchedule": "schedule",
    "OpaTasks": "tasks",
    "SentTask": "tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'opa.testing' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"opa.testing.{_HOME[name]}"), name)
    globals()[name] = value
    return value
