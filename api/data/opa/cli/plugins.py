"""`opa plugins`: what was found, what is loaded, what was left out and why, and what each plugin provides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa.cli import app

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.core.register import PluginObjects


@app.command()
def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show which plugins were found and loaded, which were left out and why, and what each provides."""
    from opa.core.prepare import prepare

    rows = plugin_rows(prepare())
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows)


def plugin_rows(manager: PluginManager) -> list[dict[str, Any]]:
    """A row for each plugin that was found, in load order: name, file, status, reasons, tags, hides, provides."""
    objects = {found.plugin.file: found for found in manager.registry.objects}
    rows = []
    for decision in manager.decisions:
        plugin = decision.plugin
        rows.append(
            {
                "name": plugin.name,
                "file": str(plugin.file),
                "built_in": plugin.is_built_in,
                "status": "loaded" if decision.load else "left out",
                "reasons": list(decision.reasons),
                "tags": sorted(plugin.metadata.tags),
                "hides": [str(path) for path in plugin.shadows],
                "provides": _provides(objects[plugin]) if decision.load else [],
            }
        )
    return rows


def _provides(found: PluginObjects) -> list[str]:
    from fastapi.routing import APIRoute

    from opa.core.hooks import hook_name

    provides = [f"hook definition {hook_name(definition)}" for definition in found.hook_definitions]
    provides += [f"hook {hook_name(hook)} (order {hook.order})" for hook in found.hooks]
    provides += [f"driver {driver.name}" for driver in found.drivers]
    provides += [f"setup {setup.__name__}" for setup in found.setups]
    provides += [f"middleware {getattr(item.cls, '__name__', item.cls)}" for item in found.middleware]
    for route in found.router.routes if found.router else ():
        if isinstance(route, APIRoute):
            provides.append(f"{','.join(sorted(route.methods or ()))} {route.path}")
        else:
            provides.append(f"{type(route).__name__} {getattr(route, 'path', '')}".strip())
    return provides


def _print_table(rows: list[dict[str, Any]]) -> None:
    from opa.cli.tables import print_table

    print_table(
        ["plugin", "status", "provides", "file"],
        [
            [
                row["name"],
                "\n".join([row["status"], *row["reasons"], *(f"hides {path}" for path in row["hides"])]),
                "\n".join(row["provides"]) or "-",
                row["file"],
            ]
            for row in rows
        ],
    )
