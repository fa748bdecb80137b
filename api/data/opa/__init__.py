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
]

_HOME = {
    "Component": "depends",
    "ComponentUnavailableError": "errors",
    "Driver": "drivers",
    "Hook": "hooks",
    "HookDefinition": "hooks",
    "OpaError": "errors",
    "PluginManager": "manager",
    "Setup": "setups",
    "call_hook": "manager",
    "call_hook_async": "manager",
    "config": "settings",
    "get_component": "manager",
    "get_instance": "manager",
    "get_plugin_manager": "manager",
    "get_router": "routers",
    "get_util": "manager",
    "log": "log",
    "state": "state",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'opa' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"opa.core.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
