"""Values that SQLAlchemy raises an error for, with all rows of their query.

They are those of an Enum that the code does not have any more, and whatever else a column of SQLite, or a date of
PostgreSQL, may be and no value of Python is. Then the rows are read without these columns, and these as what the
database has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Column, Date, DateTime, Dialect, Enum, String, Time, cast, inspect, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defaultload, defer
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import NullType

UNREAD = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)
"""What is raised, as it comes from whatever a type does with a value."""
Columns = Callable[[type[Any]], dict[str, Any]]
"""Gives the types of columns of a model, by the names of their attributes."""


def enums_of(model: type[Any]) -> dict[str, Any]:
    """The types of its attributes that are an Enum, by their names; without those of the key, which a row needs."""
    return {name: kind for name, kind in _types_of(model) if isinstance(kind, Enum)}


def doubtful_of(model: type[Any], dialect: Dialect) -> dict[str, Any]:
    """The types of all attributes of which a value may be none of Python, by their names; without those of the key."""
    return {
        name: kind
        for name, kind in _types_of(model)
        if _is_moment_of_postgresql(kind, dialect) or _processor(kind, dialect) is not None
    }


def without(model: type[Any], relations: Iterable[str], columns: Columns) -> Iterator[Any]:
    """The options of a query that leave columns out, also of what is read with the rows.

    Args:
        model: of the rows.
        relations: that are read with them.
        columns: that are left out.
    """
    yield from (defer(getattr(model, name)) for name in columns(model))
    for relation in relations:
        attribute = getattr(model, relation)
        other = attribute.property.mapper.class_
        yield from (defaultload(attribute).defer(getattr(other, name)) for name in columns(other))


async def fill(session: AsyncSession, rows: Iterable[Any], relations: Iterable[str], columns: Columns) -> None:
    """Give rows that were read without columns what the database has: a value, or a text for which there is none.

    Args:
        session: of the rows.
        rows: of one model, or of those below it.
        relations: that were read with them.
        columns: that were left out.
    """
    found = list(rows)
    await _fill(session, found, columns)
    for relation in relations:
        others = (getattr(row, relation) for row in found)
        await _fill(
            session,
            [each for other in others if other is not None for each in (other if isinstance(other, list) else [other])],
            columns,
        )


async def _fill(session: AsyncSession, rows: list[Any], columns: Columns) -> None:
    by_model: dict[type[Any], list[Any]] = defaultdict(list)
    for row in rows:
        by_model[type(row)].append(row)
    for model, of_model in by_model.items():
        await _fill_alike(session, model, of_model, columns(model))


async def _fill_alike(session: AsyncSession, model: type[Any], rows: list[Any], types: dict[str, Any]) -> None:
    missing = [row for row in rows if inspect(row).unloaded & types.keys()]
    if not missing:
        return
    dialect = session.get_bind().dialect
    mapper: Any = inspect(model)
    key = tuple_(*mapper.primary_key) if len(mapper.primary_key) > 1 else mapper.primary_key[0]
    identities = {tuple(inspect(row).identity): row for row in missing}
    query = select(
        *mapper.primary_key, *(_as_kept(getattr(model, name), kind, dialect) for name, kind in types.items())
    ).where(key.in_([identity if len(identity) > 1 else identity[0] for identity in identities]))
    readers = {name: _reader(kind, dialect) for name, kind in types.items()}
    for values in await session.execute(query):
        count = len(mapper.primary_key)
        row = identities.get(tuple(values[:count]))
        for (name, read), kept in zip(readers.items(), values[count:], strict=True):
            if row is not None and name in inspect(row).unloaded:
                set_committed_value(row, name, None if kept is None else _read(read, kept))


def _types_of(model: type[Any]) -> Iterator[tuple[str, Any]]:
    mapper: Any = inspect(model)
    keys = set(mapper.primary_key)
    columns = ((each.key, each.columns[0]) for each in mapper.column_attrs)
    yield from ((name, column.type) for name, column in columns if isinstance(column, Column) and column not in keys)


def _is_moment_of_postgresql(kind: Any, dialect: Dialect) -> bool:
    """Whether it is a date or a time there: before our era, or behind the year 9999, the driver has none."""
    return dialect.name == "postgresql" and isinstance(kind, Date | DateTime | Time)


def _processor(kind: Any, dialect: Dialect) -> Any:
    """What makes a value of that of the driver; None where that is one, or it depends on what the driver has."""
    try:
        return kind.dialect_impl(dialect).result_processor(dialect, None)
    except UNREAD:  # as for numbers of asyncpg, of which it has to know the type there
        return None


def _as_kept(attribute: Any, kind: Any, dialect: Dialect) -> Any:
    if isinstance(kind, Enum):
        return type_coerce(attribute, String)
    return cast(attribute, String) if _is_moment_of_postgresql(kind, dialect) else type_coerce(attribute, NullType())


def _reader(kind: Any, dialect: Dialect) -> Callable[[Any], Any]:
    """What makes a value of what the database has."""
    if isinstance(kind, Enum):
        members = members_of(kind)
        return partial(_member, members)
    if _is_moment_of_postgresql(kind, dialect):
        made: Callable[[Any], Any] = kind.python_type.fromisoformat
        return made
    return _processor(kind, dialect) or (lambda kept: kept)


def _member(members: Mapping[Any, Any], text: Any) -> Any:
    return members.get(text, text)


def _read(read: Callable[[Any], Any], kept: Any) -> Any:
    try:
        return read(kept)
    except UNREAD:
        return kept if isinstance(kept, bytes) else str(kept)


def members_of(kind: Enum) -> Mapping[Any, Any]:
    """What can be chosen, by the texts for it in the database; nothing, where it is not clear what that is."""
    if kind.enum_class is None:
        return {text: text for text in kind.enums}
    by_value = {str(each.value): each for each in kind.enum_class}
    found = {text: kind.enum_class.__members__.get(text, by_value.get(text)) for text in kind.enums}
    return found if None not in found.values() else {}
