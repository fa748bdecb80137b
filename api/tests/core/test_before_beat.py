"""The group `before_beat`."""

from __future__ import annotations

import asyncio
import importlib

import pytest

from opa.core.before_beat import run_before_beat
from opa.errors import LifecycleError
from tests.project import Project

FIRST = """
from opa import get_plugin_manager, register

called = []

@register("before_beat")
def first():
    called.append(get_plugin_manager().mode)

@register("before_beat")
async def second():
    called.append("second")
"""


def test_its_members_are_called_one_after_another_before_beat_begins(project: Project) -> None:
    project.plugin("first.py", FIRST)
    manager = project.prepare("beat")
    asyncio.run(run_before_beat(manager))
    assert importlib.import_module("first").called == ["beat", "second"]


def test_one_that_fails_ends_beat_and_is_named(project: Project) -> None:
    project.plugin("bad.py", 'from opa import register\n@register("before_beat")\ndef bad(): raise ValueError("no")')
    manager = project.prepare("beat")
    with pytest.raises(LifecycleError, match=r"'bad.bad' in the group 'before_beat' failed: ValueError: no"):
        asyncio.run(run_before_beat(manager))
