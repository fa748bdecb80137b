"""The fields of a panel, made of those of a model of Pydantic."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from starlette_admin.fields import (
    BaseField,
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    IntegerField,
    StringField,
    TagsField,
)

from opa import OpaError
from opa.admin import Panel
from opa.plugins.admin_panels.fields import (
    JsonField,
    LongTextField,
    OneOfField,
    RealField,
    SecretField,
    ShownField,
    is_secret_name,
)

_LONG = 255
"""Characters from which on a text has more than a line."""
_SIMPLE: Mapping[type, type[BaseField]] = {
    bool: BooleanField,
    int: IntegerField,
    float: RealField,
    Decimal: DecimalField,
    datetime: DateTimeField,
    date: DateField,
    str: StringField,
    UUID: StringField,
}


def key_of(name: str, info: FieldInfo) -> str:
    """The name of a field in documents."""
    alias = info.serialization_alias or (info.validation_alias if isinstance(info.validation_alias, str) else None)
    return "_id" if name == "id" else alias or name


def fields_of(panel: Panel) -> list[BaseField]:
    """The fields of a panel, in their order; the id is the first, if it is not named.

    Raises:
        OpaError: there are none.
    """
    options, model = panel.options, panel.model
    infos: dict[str, FieldInfo] = dict(model.model_fields)
    chosen = [name for name in (options.fields or infos) if name not in options.exclude]
    if not [name for name in chosen if name != "id"]:
        raise OpaError(
            f"the admin panel '{panel.name}' shows no field", where=panel.where, hint="Take some out of 'exclude'"
        )
    if "id" not in chosen:
        chosen.insert(0, "id")
    fields = [_field(panel, name, infos.get(name)) for name in chosen]
    for field in fields:
        if field.name in options.readonly_fields:
            field.read_only, field.required = True, False
    return fields


def allows_none(annotation: Any) -> bool:
    """Whether a field may be empty."""
    return annotation in (Any, None) or type(None) in get_args(_bare(annotation))


def _field(panel: Panel, name: str, info: FieldInfo | None) -> BaseField:
    if info is None:  # the id, of which the model says nothing
        return StringField("id", label="Id", read_only=True)
    common: dict[str, Any] = {
        "label": info.title or None,
        "help_text": info.description,
        "required": info.is_required() and not allows_none(info.annotation),
    }
    kind = _without_none(info.annotation)
    if name == "id":
        return StringField(name, **common, read_only=not info.is_required())
    if name in panel.options.secret_fields or is_secret_name(name) or kind is SecretStr:
        return SecretField(name, **common)
    if not info.is_required():
        common["default"] = lambda: _shown_default(info)
    return _of_type(name, kind, info, common)


def _of_type(name: str, kind: Any, info: FieldInfo, common: dict[str, Any]) -> BaseField:
    choices = _choices(kind)
    if choices:
        by_text = {str(value): value for value, _ in choices}
        return OneOfField(name, choices=choices, coerce=lambda text: by_text.get(str(text), text), **common)
    if get_origin(kind) in (list, set, tuple, frozenset) and get_args(kind)[:1] == (str,):
        return TagsField(name, **common)
    if kind is bytes:
        return ShownField(name)
    if kind is str and any((getattr(each, "max_length", None) or 0) > _LONG for each in info.metadata):
        return LongTextField(name, **common)
    made = _SIMPLE.get(kind)
    if made is None and isinstance(kind, type) and not issubclass(kind, BaseModel | Mapping | list | set | tuple):
        made = StringField
    if made is BooleanField:
        common["required"] = False
    return (made or JsonField)(name, **common)


def _choices(kind: Any) -> list[tuple[Any, str]]:
    if get_origin(kind) is Literal:
        return [(value, str(value)) for value in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [(each.value, each.name.replace("_", " ")) for each in kind]
    return []


def _shown_default(info: FieldInfo) -> Any:
    try:
        value = info.get_default(call_default_factory=True, validated_data={})
    except Exception:  # noqa: BLE001 - a factory of a plugin, which may need what is not there yet
        return None
    return value.value if isinstance(value, Enum) else value


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _without_none(annotation: Any) -> Any:
    annotation = _bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        others = [each for each in get_args(annotation) if each is not type(None)]
        return _without_none(others[0]) if len(others) == 1 else annotation
    return annotation
