"""`opa plugins`: what was found, what is loaded, what was skipped and why, and what each plugin provides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa._util.printable import in_one_line
from opa._util.sources import from_here
from opa.cli.program import app
from opa.errors import StartError

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.core.register import PluginObjects
    from opa.loading.candidates import Refused
    from opa.loading.filters import Decision


@app.command()
def plugins(
    name: Annotated[str | None, typer.Argument(help="Show everything about this plugin only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also show those that come with opa-stack.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show which plugins are loaded, which are skipped or broken and why, and what each provides."""
    from opa.bootstrap import prepare
    from opa.cli.beside_up import load_beside_up
    from opa.http.builder import build_app

    manager = prepare(load_beside_up(quiet=True))
    build_app(manager)
    rows = plugin_rows(manager)
    if name is not None:
        rows = [_row_of(name, rows)]
    if as_json:
        print(json.dumps(rows if name is None else rows[0], indent=2))
    elif name is None:
        _print_list(rows, every)
    else:
        _print_one(rows[0])


def plugin_rows(manager: PluginManager) -> list[dict[str, Any]]:
    """A row for each plugin that was found: those that are loaded in load order, then the others.

    Each has name, version, description, file, status, reasons, tags, requires, packages, hides, settings and provides.
    """
    objects = {found.plugin.name: found for found in manager.registry.objects}
    positions = {name: position for position, name in enumerate(objects)}
    decisions = sorted(manager.decisions, key=lambda decision: positions.get(decision.plugin.name, len(positions)))
    rows = [_row(decision, objects.get(decision.plugin.name), manager) for decision in decisions]
    return rows + [_row(_refusal(refused), None, manager) for refused in manager.refused]


def _refusal(refused: Refused) -> Decision:
    from opa.loading.discover import as_plugin
    from opa.loading.filters import Decision

    return Decision(as_plugin(refused), (refused.problem.what,))


def _row(decision: Decision, found: PluginObjects | None, manager: PluginManager) -> dict[str, Any]:
    plugin = decision.plugin
    metadata = plugin.metadata
    error = manager.roster.skipped.get(plugin.name) if decision.load else None
    return {
        "name": plugin.name,
        "version": str(metadata.version) if metadata.version else "",
        "description": metadata.description,
        "file": str(plugin.file),
        "built_in": plugin.is_built_in,
        "status": "loaded" if found else "broken" if error else "skipped",
        "reasons": [str(error)] if error else list(decision.reasons),
        "tags": sorted(metadata.tags),
        "requires": [str(requirement) for requirement in metadata.requires],
        "packages": [str(requirement) for requirement in metadata.packages],
        "hides": [str(path) for path in plugin.shadows],
        "settings": sorted(found.settings.model_fields) if found and found.settings else [],
        "provides": [*_provides(found), *_declared(found, manager)] if found else [],
    }


def _row_of(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    for row in rows:
        if row["name"] == name:
            return row
    raise StartError(f"there is no plugin '{name}'", hint=f"Plugins: {', '.join(sorted(row['name'] for row in rows))}")


def _declared(found: PluginObjects, manager: PluginManager) -> list[str]:
    """What the plugin declared while it was imported: conventions, tasks, and members of groups."""
    module = found.plugin.file.module
    conventions = manager.registry.conventions.items()
    declared = [f"convention {convention.name}" for convention, plugin in conventions if plugin == found.plugin.name]
    declared += [
        f"{convention.name} for plugin {plugin}"
        for convention, plugin in conventions
        if found.plugin.found(convention) is not None
    ]
    declared += [f"task {name}" for name in manager.celery.tasks_of(module)] if manager.tasks.are_used else []
    for group in manager.groups.names():
        for member in manager.groups.members(group):
            if f"{member.module or member.uri}.".startswith(f"{module}."):
                declared.append(f"{member.uri} in group {group}")
    return declared


def _provides(found: PluginObjects) -> list[str]:
    from fastapi.routing import APIRoute

    from opa.core.hooks import hook_name

    provides = [f"hook definition {hook_name(definition)}" for definition in found.hook_definitions]
    provides += [f"hook {hook_name(hook)} (order {hook.order})" for hook in found.hooks]
    provides += [f"driver {driver.name}" for driver in found.drivers]
    provides += [f"setup {setup.__name__}" for setup in found.setups]
    provides += [f"{step}()" for step in found.lifecycle.functions]
    provides += [f"settings {found.settings.__name__}"] if found.settings else []
    provides += [f"middleware {getattr(item.cls, '__name__', item.cls)}" for item in found.middleware]
    for route in found.router.routes if found.router else ():
        if isinstance(route, APIRoute):
            provides.append(f"{','.join(sorted(route.methods or ()))} {route.path}")
        else:
            provides.append(f"{type(route).__name__} {getattr(route, 'path', '')}".strip())
    return provides


def _print_list(rows: list[dict[str, Any]], every: bool) -> None:
    """A line for each plugin, and below it what it provides: each in a line, so that no width is too small."""
    hidden = [] if every else [row for row in rows if _comes_with_opa(row) and row["status"] != "broken"]
    for row in rows:
        if row in hidden:
            continue
        name = in_one_line(" ".join([row["name"], row["version"]]).strip())
        print(f"{name}  {row['status']}  {in_one_line(from_here(row['file']))}")
        for line in (*row["reasons"], *(f"hides {from_here(path)}" for path in row["hides"]), *row["provides"]):
            print(f"    {in_one_line(line)}")
    if len(hidden) == len(rows):
        print("no plugins of yours")
    if hidden:
        print(f"and {len(hidden)} that come with opa-stack, which --all shows")


def _comes_with_opa(row: dict[str, Any]) -> bool:
    from opa._util.sources import PACKAGE_FOLDER

    return Path(row["file"]).is_relative_to(PACKAGE_FOLDER)


def _print_one(row: dict[str, Any]) -> None:
    from opa._util.tables import print_table

    print_table(
        [row["name"], ""],
        [
            [key, value if isinstance(value, list) else str(value)]
            for key, value in row.items()
            if key != "name" and value not in ("", [])
        ],
    )
