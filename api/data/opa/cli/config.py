"""`opa config`: the effective settings, the source of each, and everything that is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa.cli import app
from opa.core.errors import SettingsError

if TYPE_CHECKING:
    from opa.core.settings_config import Leaf


@app.command()
def config(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show this setting alone; dots lead inside: OPTIONAL_COMPONENTS.WALRUS. "
            "`schema` prints the JSON Schema of all settings, those of the plugins too."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the effective settings and where each comes from, or every mistake in them."""
    from opa.cli.beside_up import load_beside_up

    if name == "schema":
        print(json.dumps(_schema(), indent=2))
        return
    try:
        settings = load_beside_up()
    except SettingsError as error:
        for mistake in error.mistakes:
            typer.echo(mistake, err=True)
        raise typer.Exit(1) from error
    rows = shown(settings.leaves(name))
    if as_json:
        by_name = {row.name: {"value": row.value, "source": row.source} for row in rows}
        print(json.dumps(by_name, indent=2, ensure_ascii=False, default=str))
    else:
        _print_table(rows)


def _schema() -> dict[str, Any]:
    """The JSON Schema of all settings, with the model of each plugin under `PLUGIN_SETTINGS`."""
    from opa.cli.beside_up import load_beside_up
    from opa.core.prepare import prepare
    from opa.core.settings_schema import Settings

    schema = Settings.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    properties = {}
    for found in prepare(load_beside_up(quiet=True)).registry.objects:
        if found.settings is not None:
            name = f"PLUGIN_SETTINGS.{found.plugin.name}"
            model = found.settings.model_json_schema(ref_template=f"#/$defs/{name}/$defs/{{model}}")
            definitions[name] = model
            properties[found.plugin.name] = {"$ref": f"#/$defs/{name}"}
    schema["properties"]["PLUGIN_SETTINGS"] = {"type": "object", "properties": properties, "default": {}}
    return schema


def shown(leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    """The same, with every secret masked; which settings of plugins are secret, only their models say."""
    from opa.core.plugin_settings import SETTING
    from opa.core.secrets import MASK, mask_setting

    public: set[str] | None = None
    for leaf in leaves:
        value = mask_setting(leaf.name, leaf.value)
        if leaf.name.startswith(f"{SETTING}."):
            public = _public_settings_of_plugins() if public is None else public
            value = value if ".".join(leaf.name.lower().split(".")[1:3]) in public else MASK
        yield leaf._replace(value=value)


def _public_settings_of_plugins() -> set[str]:
    """`plugin.field` in lower case for each that no model marks as secret; none where the plugins do not load."""
    from opa.core.errors import OpaError
    from opa.core.log import log
    from opa.core.plugin_settings import secret_fields
    from opa.core.prepare import prepare

    try:
        objects = prepare().registry.objects
    except OpaError as error:
        log.debug(f"settings of plugins are masked, since the plugins do not load: {error}")
        return set()
    return {
        f"{found.plugin.name}.{field}".lower()
        for found in objects
        if found.settings is not None
        for field in found.settings.model_fields
        if (field,) not in secret_fields(found.settings)
    }


def _print_table(rows: Iterable[Leaf]) -> None:
    from opa.cli.tables import print_table

    print_table(
        ["setting", "value", "source"],
        [[row.name, json.dumps(row.value, ensure_ascii=False, default=str), row.source] for row in rows],
    )
