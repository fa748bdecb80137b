"""The options that a task may have in its decorator."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from opa.tasks.task import Task

_OF_DECORATOR = {
    *("autoretry_for", "dont_autoretry_for", "retry_backoff", "retry_backoff_max", "retry_jitter", "retry_kwargs"),
    *("pydantic", "pydantic_context", "pydantic_dump_kwargs", "pydantic_strict"),
    *("base", "bind", "filter", "lazy", "name", "schedule", "shared"),
}
_OF_SENDING = {"compression", "delivery_mode", "exchange", "immediate", "mandatory", "queue", "routing_key"}
_HANDLERS = {
    *("after_return", "before_start", "on_bound", "on_failure", "on_replace", "on_retry", "on_success"),
    *("shadow_name", "start_strategy"),
}
_OF_TASK = {name for name in dir(Task) if not name.startswith("_")}

METHODS = frozenset(
    name
    for name in _OF_TASK - _OF_DECORATOR - _HANDLERS
    if isinstance(inspect.getattr_static(Task, name), FunctionType | classmethod)
)
"""What a task can do, such as `delay`; an option of that name would take its place."""

OPTIONS = frozenset(_OF_DECORATOR | _OF_SENDING | _HANDLERS | _OF_TASK) - METHODS
"""Celery's options of tasks (https://docs.celeryq.dev/en/stable/userguide/tasks.html), and ours."""


def unknown_options(options: Mapping[str, Any]) -> list[str]:
    """Those of `options` that are none. Attributes of the base class that it names are, and methods for methods."""
    unknown = options.keys() - OPTIONS
    if not unknown:
        return []
    base = options.get("base")
    return sorted(
        name for name in unknown if (not callable(options[name]) if name in METHODS else not hasattr(base, name))
    )
