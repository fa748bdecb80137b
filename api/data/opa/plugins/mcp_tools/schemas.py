"""JSON schemas of arguments, in which all that they refer to stands in the schema itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opa.plugins.mcp_tools.tool import Arguments, Schema, ToolError

_COMPONENTS = "#/components/schemas/"
_DEFINITIONS = "#/$defs/"


def arguments_schema(
    properties: Mapping[str, Schema], required: list[str], definitions: Mapping[str, Schema]
) -> Schema:
    """The schema of an object with these properties.

    Args:
        properties: may refer to definitions as OpenAPI has them, or as JSON schema does.
        required: the names of those that have to be given.
        definitions: those that there are; what is referred to is taken over.
    """
    found: dict[str, Schema] = {}
    schema: Schema = {
        "type": "object",
        "properties": {name: _taken(each, definitions, found) for name, each in properties.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    return schema | ({"$defs": found} if found else {})


def _taken(value: Any, definitions: Mapping[str, Schema], found: dict[str, Schema]) -> Any:
    """`value` with references into the schema itself; the definitions that they name are put into `found`."""
    if isinstance(value, list):
        return [_taken(each, definitions, found) for each in value]
    if not isinstance(value, dict):
        return value
    copied = {key: _taken(each, definitions, found) for key, each in value.items() if key != "$ref"}
    reference = value.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(_COMPONENTS).removeprefix(_DEFINITIONS)
        copied["$ref"] = _DEFINITIONS + name
        if name not in found and name in definitions:
            found[name] = {}  # it may refer to itself
            found[name] = _taken(definitions[name], definitions, found)
    return copied


def check_names(arguments: Arguments, schema: Schema) -> None:
    """See that arguments are there which have to be, and no others than there can be.

    Raises:
        ToolError: they are not.
    """
    known = schema["properties"]
    mistakes = [f"{name}: there is no such argument" for name in arguments if name not in known]
    mistakes += [f"{name}: is missing" for name in schema.get("required", ()) if name not in arguments]
    if mistakes:
        raise ToolError("the arguments are wrong\n" + "\n".join(mistakes[:20]))
