"""`opa config`: the effective settings, the source of each, and everything that is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa._util.printable import in_one_line, json_text
from opa.cli.program import app
from opa.errors import SettingsError

if TYPE_CHECKING:
    from opa.settings.config import Leaf


@app.command()
def config(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show only this setting; dots select inner values: OPTIONAL_COMPONENTS.WALRUS. "
            "`schema` prints the JSON Schema of all settings, including those of the plugins."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the effective settings and where each comes from, or every mistake in them."""
    from opa.cli.beside_up import load_beside_up
    from opa.settings.sources import PREFIX, variables_of_services

    if name == "schema":
        print(json.dumps(_schema(), indent=2))
        return
    try:
        settings = load_beside_up()
    except SettingsError as error:
        for mistake in error.mistakes:
            typer.echo(in_one_line(mistake), err=True)
        raise typer.Exit(1) from error
    rows = _shown(settings.leaves(name))
    if names := [each for each in variables_of_services() if name is None or each == f"{PREFIX}{name.upper()}"]:
        told = f"left alone, since Kubernetes or Docker made them for a service: {', '.join(names)}"
        typer.echo(in_one_line(told), err=True)
    if as_json:
        by_name = {row.name: {"value": row.value, "source": row.source} for row in rows}
        print(json_text(by_name))
    else:
        _print_table(rows)


def _schema() -> dict[str, Any]:
    """The JSON Schema of all settings, with the model of each plugin under `PLUGIN_SETTINGS`."""
    from opa.cli.beside_up import manager_beside_up
    from opa.settings.schema import Settings

    schema = Settings.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    properties = {}
    for found in manager_beside_up().registry.objects:
        if found.settings is not None:
            name = f"PLUGIN_SETTINGS.{found.plugin.name}"
            model = found.settings.model_json_schema(ref_template=f"#/$defs/{name}/$defs/{{model}}")
            definitions[name] = model
            properties[found.plugin.name] = {"$ref": f"#/$defs/{name}"}
    schema["properties"]["PLUGIN_SETTINGS"] = {"type": "object", "properties": properties, "default": {}}
    return schema


def _shown(leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    """The same, with all secrets masked."""
    from opa.introspection.settings import masked

    return masked(leaves, _settings_of_plugins)


def _settings_of_plugins() -> dict[str, Any]:
    """Those of each plugin, as its model lets them be shown; of none where the plugins do not load."""
    from opa.bootstrap import prepare
    from opa.errors import OpaError
    from opa.introspection.settings import plugin_settings_of
    from opa.logging.logger import log

    try:
        return plugin_settings_of(prepare())
    except OpaError as error:
        log.debug(f"settings of plugins are masked, since the plugins do not load: {error}")
        return {}


def _print_table(rows: Iterable[Leaf]) -> None:
    from opa._util.tables import print_table

    print_table(
        ["setting", "value", "source"],
        [[row.name, json_text(row.value, indent=None), row.source] for row in rows],
    )
