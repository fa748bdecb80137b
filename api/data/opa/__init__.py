"""opa-stack: put a Python file into a folder, and it is an API endpoint, a background task, or both.

The names below are the whole public surface. They are imported when they are first asked for, so that the command and
the health check start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa._util.forks import at_fork
    from opa._util.masking.secrets import mask_text
    from opa._util.suggestions import nearest
    from opa.access.actor import Actor, get_actor
    from opa.access.audit import audit
    from opa.access.counts import credential_counts
    from opa.core.breaker import Breaker
    from opa.core.component_observers import ComponentObserver, PoolUse
    from opa.core.depends import Component
    from opa.core.drivers import Driver
    from opa.core.hooks import Hook, HookDefinition
    from opa.core.lazy_errors import lazy_errors
    from opa.core.loop_watch import event_loop_blocks
    from opa.core.manager import PluginManager, get_plugin_manager
    from opa.core.plugin_settings import PluginSettings
    from opa.core.routers import get_router
    from opa.core.running import (
        call_hook,
        call_hook_async,
        get_component,
        get_instance,
        get_plugins,
        get_util,
        is_stopping,
        register,
        run_group,
        run_group_async,
    )
    from opa.core.setups import Setup
    from opa.core.start_waits import waiting_for
    from opa.current import state
    from opa.errors import ComponentUnavailableError, OpaError, RefusedCredentialError, TaskTooLargeError
    from opa.events.emitting import emit, emit_sync
    from opa.events.event import Event
    from opa.events.handlers import on
    from opa.framework import Framework, Schema
    from opa.http.access.attempt import attempt
    from opa.http.access.requires import Requires
    from opa.http.after_response import after_response
    from opa.http.console_page import ConsoleCard, ConsolePage
    from opa.http.in_process import started_application
    from opa.http.limits import limits
    from opa.http.middleware import BaseMiddleware
    from opa.http.observers import RequestObserver, requests_in_flight
    from opa.http.own_pages import is_from_own_page, is_own_host
    from opa.http.rate_limits.rate_limit import RateLimit
    from opa.http.static_url import static_url
    from opa.http.webhooks.posting import WebhookAnswer, post_webhook
    from opa.http.webhooks.signed import Signed
    from opa.loading.conventions import Convention
    from opa.logging.logger import log
    from opa.logging.request_id import get_request_id
    from opa.settings.envs import is_development
    from opa.settings.load import config
    from opa.tasks.beat.missed import MissedRun
    from opa.tasks.dead_letters.control import DeadLetterPage, DeadLetters
    from opa.tasks.dead_letters.letters import DeadLetter
    from opa.tasks.decorator import task
    from opa.tasks.driver import CeleryDriver
    from opa.tasks.in_hand import tasks_in_hand
    from opa.tasks.limits.task_limits import TaskLimit
    from opa.tasks.observing.observer import TaskObserver
    from opa.tasks.observing.run import TaskRun
    from opa.tasks.queue_lengths import queue_lengths
    from opa.tasks.result import TaskResult
    from opa.tasks.schedule_control import Schedules, ScheduleState

__version__ = "0.1.0"

__all__ = [
    "Actor",
    "BaseMiddleware",
    "Breaker",
    "CeleryDriver",
    "Component",
    "ComponentObserver",
    "ComponentUnavailableError",
    "ConsoleCard",
    "ConsolePage",
    "Convention",
    "DeadLetter",
    "DeadLetterPage",
    "DeadLetters",
    "Driver",
    "Event",
    "Framework",
    "Hook",
    "HookDefinition",
    "MissedRun",
    "OpaError",
    "PluginManager",
    "PluginSettings",
    "PoolUse",
    "RateLimit",
    "RefusedCredentialError",
    "RequestObserver",
    "Requires",
    "ScheduleState",
    "Schedules",
    "Schema",
    "Setup",
    "Signed",
    "TaskLimit",
    "TaskObserver",
    "TaskResult",
    "TaskRun",
    "TaskTooLargeError",
    "WebhookAnswer",
    "after_response",
    "at_fork",
    "attempt",
    "audit",
    "call_hook",
    "call_hook_async",
    "config",
    "credential_counts",
    "emit",
    "emit_sync",
    "event_loop_blocks",
    "get_actor",
    "get_component",
    "get_instance",
    "get_plugin_manager",
    "get_plugins",
    "get_request_id",
    "get_router",
    "get_util",
    "is_development",
    "is_from_own_page",
    "is_own_host",
    "is_stopping",
    "lazy_errors",
    "limits",
    "log",
    "mask_text",
    "nearest",
    "on",
    "post_webhook",
    "queue_lengths",
    "register",
    "requests_in_flight",
    "run_group",
    "run_group_async",
    "started_application",
    "state",
    "static_url",
    "task",
    "tasks_in_hand",
    "waiting_for",
]

_HOME = {
    "Actor": "access.actor",
    "BaseMiddleware": "http.middleware",
    "Breaker": "core.breaker",
    "CeleryDriver": "tasks.driver",
    "Component": "core.depends",
    "ComponentObserver": "core.component_observers",
    "ComponentUnavailableError": "errors",
    "ConsoleCard": "http.console_page",
    "ConsolePage": "http.console_page",
    "Convention": "loading.conventions",
    "DeadLetter": "tasks.dead_letters.letters",
    "DeadLetterPage": "tasks.dead_letters.control",
    "DeadLetters": "tasks.dead_letters.control",
    "Driver": "core.drivers",
    "Event": "events.event",
    "Framework": "framework",
    "Hook": "core.hooks",
    "HookDefinition": "core.hooks",
    "MissedRun": "tasks.beat.missed",
    "OpaError": "errors",
    "PluginManager": "core.manager",
    "PluginSettings": "core.plugin_settings",
    "PoolUse": "core.component_observers",
    "RateLimit": "http.rate_limits.rate_limit",
    "RefusedCredentialError": "errors",
    "RequestObserver": "http.observers",
    "Requires": "http.access.requires",
    "ScheduleState": "tasks.schedule_control",
    "Schedules": "tasks.schedule_control",
    "Schema": "framework",
    "Setup": "core.setups",
    "Signed": "http.webhooks.signed",
    "TaskLimit": "tasks.limits.task_limits",
    "TaskObserver": "tasks.observing.observer",
    "TaskResult": "tasks.result",
    "TaskRun": "tasks.observing.run",
    "TaskTooLargeError": "errors",
    "WebhookAnswer": "http.webhooks.posting",
    "after_response": "http.after_response",
    "at_fork": "_util.forks",
    "attempt": "http.access.attempt",
    "audit": "access.audit",
    "call_hook": "core.running",
    "call_hook_async": "core.running",
    "config": "settings.load",
    "credential_counts": "access.counts",
    "emit": "events.emitting",
    "emit_sync": "events.emitting",
    "event_loop_blocks": "core.loop_watch",
    "get_actor": "access.actor",
    "get_component": "core.running",
    "get_instance": "core.running",
    "get_plugin_manager": "core.manager",
    "get_plugins": "core.running",
    "get_request_id": "logging.request_id",
    "get_router": "core.routers",
    "get_util": "core.running",
    "is_development": "settings.envs",
    "is_from_own_page": "http.own_pages",
    "is_own_host": "http.own_pages",
    "is_stopping": "core.running",
    "lazy_errors": "core.lazy_errors",
    "limits": "http.limits",
    "log": "logging.logger",
    "mask_text": "_util.masking.secrets",
    "nearest": "_util.suggestions",
    "on": "events.handlers",
    "post_webhook": "http.webhooks.posting",
    "queue_lengths": "tasks.queue_lengths",
    "tasks_in_hand": "tasks.in_hand",
    "register": "core.running",
    "requests_in_flight": "http.observers",
    "run_group": "core.running",
    "run_group_async": "core.running",
    "started_application": "http.in_process",
    "state": "current",
    "static_url": "http.static_url",
    "task": "tasks.decorator",
    "waiting_for": "core.start_waits",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'opa' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"opa.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
