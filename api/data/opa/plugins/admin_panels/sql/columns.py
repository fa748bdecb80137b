"""The fields of a panel, made of the columns and relations of a model."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Enum, Float, Interval, LargeBinary, String, Text, inspect
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError
from sqlalchemy.orm import ColumnProperty, RelationshipProperty
from starlette_admin.contrib.sqla.converters import ModelConverter
from starlette_admin.contrib.sqla.exceptions import NotSupportedColumn
from starlette_admin.fields import BaseField, DateTimeField, FileField, HasMany, HasOne, JSONField

from opa import OpaError, log
from opa.admin import SQL, Panel
from opa.plugins.admin_panels.fields import (
    ChoiceField,
    JsonField,
    LongTextField,
    RealField,
    SecretField,
    ShownField,
    ZonedField,
    is_secret_name,
    made_of,
)
from opa.plugins.admin_panels.sql.unread import members_of


def names_of(panel: Panel) -> list[str]:
    """The names of all attributes of a model that could be fields.

    Raises:
        OpaError: SQLAlchemy cannot make sense of the model.
    """
    try:
        mapper: Any = inspect(panel.model)
        names = [attribute.key for attribute in mapper.attrs]
    except SQLAlchemyError as error:
        raise OpaError(
            f"the admin panel '{panel.name}' cannot be made: {str(error).partition(chr(10))[0]}",
            where=panel.where,
            hint=f"Fix the model {panel.model.__name__}"
            + (", or import what it refers to" if isinstance(error, InvalidRequestError) else ""),
        ) from error
    if not any(column.primary_key for column in mapper.primary_key):
        raise OpaError(
            f"the admin panel '{panel.name}' cannot be made: the table of {panel.model.__name__} has no primary key",
            where=panel.where,
            hint="Give a column of it primary_key=True: the database need not know of that",
        )
    return names


def fields_of(panel: Panel, others: list[Panel]) -> list[BaseField]:
    """The fields of a panel, in their order.

    Args:
        panel: is shown.
        others: to which a relation may lead.

    Raises:
        OpaError: there are none, or one is a relation to what has no panel.
    """
    options = panel.options
    mapper: Any = inspect(panel.model)
    chosen = list(options.fields) or _by_default(panel, others)
    fields = [_field(panel, mapper.attrs[name], others) for name in chosen if name not in options.exclude]
    if not fields:
        raise OpaError(
            f"the admin panel '{panel.name}' shows no field", where=panel.where, hint="Take some out of 'exclude'"
        )
    for field in fields:
        if field.name in options.readonly_fields or _is_made_by_database(mapper.attrs[field.name]):
            field.read_only, field.required = True, False
    return fields


def _is_made_by_database(attribute: Any) -> bool:
    """Whether nobody else can give it a value: as of a column with `GENERATED ALWAYS`, or a query."""
    if not isinstance(attribute, ColumnProperty):
        return False
    column: Any = attribute.columns[0]
    identity = getattr(column, "identity", None)
    return not isinstance(column, Column) or column.computed is not None or bool(identity and identity.always)


def _by_default(panel: Panel, others: list[Panel]) -> list[str]:
    """All columns, and in the place of the columns of a relation that leads to one other the relation itself."""
    mapper: Any = inspect(panel.model)
    relations = [
        each
        for each in mapper.relationships
        if each.direction.name == "MANYTOONE" and _panel_of(each, panel, others) is not None
    ]
    covered = {column.key for each in relations for column in each.local_columns}
    names = [
        each.key for each in mapper.attrs if isinstance(each, ColumnProperty) and each.columns[0].key not in covered
    ]
    primary = {column.key for column in mapper.primary_key}
    hidden = [each.key for each in mapper.column_attrs if each.columns[0].key in covered & primary]
    return [*names, *(name for name in hidden if name not in names), *(each.key for each in relations)]


def _panel_of(relation: RelationshipProperty[Any], panel: Panel, others: list[Panel]) -> Panel | None:
    target = relation.mapper.class_
    found = [each for each in others if each.kind == SQL and each.model is target and each.component == panel.component]
    return found[0] if found else None


def _field(panel: Panel, attribute: Any, others: list[Panel]) -> BaseField:
    if isinstance(attribute, RelationshipProperty):
        return _relation(panel, attribute, others)
    name = attribute.key
    if not isinstance(attribute, ColumnProperty):  # as a synonym
        raise OpaError(
            f"'fields' of the admin panel '{panel.name}' names '{name}', but '{name}' of {panel.model.__name__} is no"
            " column and no relation",
            where=panel.where,
            hint="Name in 'fields' the columns that it stands for",
        )
    column = attribute.columns[0]
    if name in panel.options.secret_fields or is_secret_name(name):
        required = not column.nullable and not column.default and not column.server_default
        return SecretField(name, required=required)
    is_of_several = len(attribute.columns) != 1 and not column.primary_key
    return (
        ShownField(name)
        if is_of_several or isinstance(column.type, LargeBinary | Interval)
        else _of_column(panel, name, column)
    )


def _of_column(panel: Panel, name: str, column: Any) -> BaseField:
    # Of numbers and choices, what starlette-admin makes is not what SQLAlchemy 2.1 takes.
    is_own = isinstance(column.type, Enum | Float)
    try:
        converted = ModelConverter().convert(name=name, type=String() if is_own else column.type, column=column)
    except (NotSupportedColumn, NotImplementedError):
        converted = None  # the type has no form
    except (TypeError, ValueError, AttributeError) as error:  # a type of the plugin's own may be anything
        converted = None
        log.warning(
            f"the field '{name}' of the admin panel '{panel.name}' is shown and not edited: no form can be made for its"
            f" type {type(column.type).__name__}: {type(error).__name__}: {error}"
        )
    if converted is None or isinstance(converted, FileField):
        return ShownField(name)
    if isinstance(column.type, Float):
        return made_of(RealField, converted)
    if isinstance(column.type, Enum):
        members = members_of(column.type)
        return made_of(ChoiceField, converted, members=members) if members else ShownField(name)
    if type(converted) is DateTimeField and getattr(column.type, "timezone", False):
        return made_of(ZonedField, converted)
    kind = LongTextField if isinstance(column.type, Text) else JsonField if isinstance(converted, JSONField) else None
    return converted if kind is None else kind(name, required=converted.required, default=converted.default)


def _relation(panel: Panel, relation: RelationshipProperty[Any], others: list[Panel]) -> BaseField:
    target = _panel_of(relation, panel, others)
    if target is None:
        raise OpaError(
            f"'fields' of the admin panel '{panel.name}' names '{relation.key}', a relation to"
            f" {relation.mapper.class_.__name__}, which has no panel of the component '{panel.component}'",
            where=panel.where,
            hint=f"Register {relation.mapper.class_.__name__} too, or leave '{relation.key}' out",
        )
    if relation.direction.name == "MANYTOONE":
        required = all(not column.nullable for column in relation.local_columns)
        return HasOne(relation.key, key=target.name, required=required)
    if not relation.uselist:
        return HasOne(relation.key, key=target.name, read_only=True)
    # To change it would be to change rows of the other panel.
    return HasMany(relation.key, key=target.name, read_only=True)


def has_entered_key(panel: Panel) -> bool:
    """Whether a primary key is entered by whoever creates a row: neither the database nor the model makes one."""
    mapper: Any = inspect(panel.model)
    counted = mapper.local_table.autoincrement_column
    return any(
        column is not counted and not column.default and not column.server_default for column in mapper.primary_key
    )


def may_be_none(panel: Panel) -> set[str]:
    """The names of the attributes whose columns may have nothing in them."""
    mapper: Any = inspect(panel.model)
    return {each.key for each in mapper.column_attrs if getattr(each.columns[0], "nullable", False)}
