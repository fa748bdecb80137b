"""Options of a task that neither Celery nor opa-stack has, where it can be told which one was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opa._util.sources import where_is_function
from opa._util.suggestions import nearest
from opa.checks.finding import Finding
from opa.tasks.application import application_of
from opa.tasks.options import METHODS, OPTIONS

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

# What is written for the same in other libraries, or beside the option that it belongs into.
_ELSEWHERE = {
    "by": "rate=TaskLimit(…, by=…)",
    "cron": "schedule",
    "crontab": "schedule",
    "every": "schedule",
    "interval": "schedule",
    "delay": "default_retry_delay",
    "max_tries": "max_retries",
    "retries": "max_retries",
    "retry": "autoretry_for",
    "retry_delay": "default_retry_delay",
    "timeout": "time_limit",
}


def misspelt_options(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each option that looks like another one, and that the task does not read.

    Celery makes an attribute of the task from any option. One that is like no other is taken for such an attribute.
    """
    for name, (function, options) in application_of(manager).unknown_options.items():
        plugin = manager.plugin_of_module(function.__module__)
        for option in _unread(options, function):
            instead = _instead_of(option)
            if instead is not None:
                yield Finding(
                    f"task '{name}' of plugin '{plugin}' has the option '{option}', which"
                    + (" would take the place of a method of tasks" if option in METHODS else " no task has"),
                    plugin=plugin,
                    where=where_is_function(function),
                    hint=f"Did you mean '{instead}'?",
                )


def _unread(options: Iterable[str], function: Callable[..., Any]) -> Iterator[str]:
    """Those of `options` that the function does not read of itself, as `self.option`."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    read = code.co_names if code is not None else ()
    return (option for option in options if option in METHODS or option not in read)


def _instead_of(option: str) -> str | None:
    meant: Mapping[str, str] = {name: name for name in OPTIONS if name.islower()} | _ELSEWHERE
    near = nearest(option, meant)
    return meant[near] if near else None
