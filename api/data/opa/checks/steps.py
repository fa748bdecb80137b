"""`ready`, `startup` and `shutdown` that a plugin has, and that are not run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa._util.sources import where_is_function
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def imported_steps(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each that may have been meant to run: no module of Python's, and no step of another plugin."""
    objects = manager.registry.objects
    run = [function for found in objects for function in found.lifecycle.functions.values()]
    for found in objects:
        for step, function in found.lifecycle.imported.items():
            home = function.__module__
            if home.partition(".")[0] in sys.stdlib_module_names or any(function is each for each in run):
                continue
            name = found.plugin.name
            yield Finding(
                f"{step}() of plugin '{name}' is imported from '{home}' ({where_is_function(function)}), and is not"
                " run: only a function that is defined in the plugin itself is",
                plugin=name,
                where=str(found.plugin.file.file),
                hint=f"Write 'def {step}()' there, and call it; or import it under another name",
            )


def held_steps(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each that something else holds, such as a server of tools, and that may have been meant to run."""
    for found in manager.registry.objects:
        for step, function in found.lifecycle.held.items():
            name = found.plugin.name
            when = "stops" if step == "shutdown" else "starts"
            yield Finding(
                f"{step}() of plugin '{name}' is not run when the process {when},"
                " since a decorator, a table or an object already holds it",
                plugin=name,
                where=where_is_function(function),
                hint=f"Give it another name; if it is also to run, write 'def {step}()' that calls it",
            )
