"""The form from which a task is sent, made of the signature of its function."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from opa import mask_text

Kind = Literal["text", "number", "switch", "json"]
_KINDS: dict[Any, Kind] = {str: "text", int: "number", float: "number", bool: "switch"}


@dataclass(frozen=True)
class Field:
    """A parameter of the function.

    Attributes:
        name: of the parameter.
        kind: `text` is taken as it is, all else is JSON.
        annotation: as it stands in the code; empty without one.
        default: as JSON, or as text; empty where there is none, or it is secret: the function has it anyway.
        is_required: whether the function has to be given one.
    """

    name: str
    kind: Kind
    annotation: str
    default: str
    is_required: bool


class FormError(ValueError):
    """What was entered cannot be an argument; the text says which, and why."""


def fields_of(parameters: Iterable[inspect.Parameter], annotations: Mapping[str, Any]) -> list[Field]:
    """A field for each parameter that can be named.

    Args:
        parameters: of a task.
        annotations: their types, by their names; a field without one takes JSON.
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [_field(each, annotations.get(each.name)) for each in parameters if each.kind in named]


def _field(parameter: inspect.Parameter, hint: Any) -> Field:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kind = _KINDS.get(hint, "json")
    is_required = parameter.default is inspect.Parameter.empty
    annotation = parameter.annotation
    text = "" if annotation is inspect.Parameter.empty else getattr(annotation, "__name__", None) or str(annotation)
    default = "" if is_required else _as_text(parameter.default, kind)
    if kind != "switch" and _is_secret(parameter.name, default):
        default = ""
    return Field(parameter.name, kind, text, default, is_required)


def _is_secret(name: str, default: str) -> bool:
    text = f"{name}={default}"
    return bool(default) and mask_text(text) != text


def _as_text(value: Any, kind: Kind) -> str:
    if kind == "text" and isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""


def arguments_in(fields: list[Field], form: Mapping[str, Any]) -> dict[str, Any]:
    """The named arguments that were entered. One that was left as it is, or is empty, is not given.

    Raises:
        FormError: one of them is missing, or cannot be read.
    """
    arguments = {}
    for field in fields:
        text = form.get(field.name)
        if not isinstance(text, str) or (not text and (field.kind != "text" or not field.is_required)):
            if field.is_required:
                raise FormError(f"{field.name} is missing")
        elif text != field.default or field.is_required:
            arguments[field.name] = text if field.kind == "text" else _read(field.name, text)
    return arguments


def _read(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormError(f"{name} is not JSON: {error}") from None
