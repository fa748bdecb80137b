"""The names that plugins of the original opa-stack import from here; new ones import them from `opa`."""

from fastapi import APIRouter

from opa.core.drivers import Driver
from opa.core.hooks import BasePlugin, Hook, HookDefinition
from opa.core.manager import PluginManager, get_plugin_manager
from opa.core.routers import get_router
from opa.core.running import (
    call_hook,
    call_hook_async,
    get_component,
    get_instance,
    get_util,
)
from opa.core.setups import Setup

__all__ = [
    "APIRouter",
    "BasePlugin",
    "Driver",
    "Hook",
    "HookDefinition",
    "PluginManager",
    "Setup",
    "call_hook",
    "call_hook_async",
    "get_component",
    "get_instance",
    "get_plugin_manager",
    "get_router",
    "get_util",
]
