"""Scheduled tasks that stand in two plugins, as where someone has copied a file."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.tasks.application import application_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def copied_schedules(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each scheduled task whose code another plugin has too, in the same line and with one schedule."""
    functions = application_of(manager).functions()
    first: dict[object, str] = {}
    for name, entry in application_of(manager).schedules.items():
        function = functions.get(name)
        code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
        if function is None or code is None:
            continue
        other = first.setdefault((code, str(entry["schedule"])), name)
        plugin = manager.plugin_of_module(function.__module__)
        if other == name or plugin == manager.plugin_of_module(functions[other].__module__):
            continue
        where, where_other = where_is_function(function), where_is_function(functions[other])
        whose = f" of plugin '{plugin}'" if plugin else ""
        yield Finding(
            f"task '{name}'{whose} is the same as '{other}' ({where_other}), and its schedule runs once more",
            plugin=plugin,
            where=where,
            hint="If the file is a copy, move it out of the plugin path"
            if where != where_other
            else "The file is loaded under two names: import the module of the plugin, as all others do",
        )
