"""opa-stack: put a Python file into a folder, and it is an API endpoint, a background task, or both.

The names below are the whole public surface. They are imported when they are first asked for, so that the command and
the health check start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.core.depends import Component
    from opa.core.drivers import Driver
    from opa.core.errors import ComponentUnavailableError, OpaError
    from opa.core.hooks import Hook, HookDefinition
    from opa.core.log import log
    from opa.core.manager import (
        PluginManager,
        call_hook,
        call_hook_async,
        get_component,
        get_instance,
        get_plugin_manager,
        get_util,
    )
    from opa.core.routers import get_router
    from opa.core.settings import config
    from opa.core.setups import Setup
    from opa.core.state import state
    from opa.tasks.decorator import task

__all__ = [
    "Component",
    "ComponentUnavailableError",
    "Driver",
    "Hook",
    "HookDefinition",
    "OpaError",
    "PluginManager",
    "Setup",
    "call_hook",
    "call_hook_async",
    "config",
    "get_component",
    "get_instance",
    "get_plugin_manager",
    "get_router",
    "get_util",
    "log",
    "state",
    "task",
]

_HOME = {
    "Component": "core.depends",
    "ComponentUnavailableError": "core.errors",
    "Driver": "core.drivers",
    "Hook": "core.hooks",
    "HookDefinition": "core.hooks",
    "OpaError": "core.errors",
    "PluginManager": "core.manager",
    "Setup": "core.setups",
    "call_hook": "core.manager",
    "call_hook_async": "core.manager",
    "config": "core.settings",
    "get_component": "core.manager",
    "get_instance": "core.manager",
    "get_plugin_manager": "core.manager",
    "get_router": "core.routers",
    "get_util": "core.manager",
    "log": "core.log",
    "state": "core.state",
    "task": "tasks.decorator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'opa' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"opa.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
