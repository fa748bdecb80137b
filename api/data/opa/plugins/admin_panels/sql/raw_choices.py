"""Values of an Enum that the code does not have any more: SQLAlchemy raises an error for each row with one.

Then the rows are read without their Enums, and these as the texts that the database has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Enum, String, inspect, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defaultload, defer
from sqlalchemy.orm.attributes import set_committed_value


def enums_of(model: type[Any]) -> dict[str, Enum]:
    """The types of its attributes that are an Enum, by their names; without those of the key, which a row needs."""
    mapper: Any = inspect(model)
    columns = {each.key: each.columns[0] for each in mapper.column_attrs}
    keys = set(mapper.primary_key)
    return {
        name: column.type for name, column in columns.items() if isinstance(column.type, Enum) and column not in keys
    }


def without_enums(model: type[Any], relations: Iterable[str]) -> Iterator[Any]:
    """The options of a query that leave them out, also of what is read with the rows.

    Args:
        model: of the rows.
        relations: that are read with them.
    """
    yield from (defer(getattr(model, name)) for name in enums_of(model))
    for relation in relations:
        attribute = getattr(model, relation)
        other = attribute.property.mapper.class_
        yield from (defaultload(attribute).defer(getattr(other, name)) for name in enums_of(other))


async def fill_enums(session: AsyncSession, rows: Iterable[Any], relations: Iterable[str]) -> None:
    """Give rows that were read without them what the database has: a member, or a text for which there is none.

    Args:
        session: of the rows.
        rows: of one model.
        relations: that were read with them.
    """
    found = list(rows)
    await _fill(session, found)
    for relation in relations:
        others = (getattr(row, relation) for row in found)
        await _fill(
            session,
            [each for other in others if other is not None for each in (other if isinstance(other, list) else [other])],
        )


async def _fill(session: AsyncSession, rows: list[Any]) -> None:
    missing = [row for row in rows if inspect(row).unloaded & enums_of(type(row)).keys()]
    if not missing:
        return
    model = type(missing[0])
    enums = enums_of(model)
    mapper: Any = inspect(model)
    key = tuple_(*mapper.primary_key) if len(mapper.primary_key) > 1 else mapper.primary_key[0]
    identities = {tuple(inspect(row).identity): row for row in missing}
    query = select(*mapper.primary_key, *(type_coerce(getattr(model, name), String) for name in enums)).where(
        key.in_([identity if len(identity) > 1 else identity[0] for identity in identities])
    )
    for values in await session.execute(query):
        count = len(mapper.primary_key)
        row = identities.get(tuple(values[:count]))
        for (name, kind), text in zip(enums.items(), values[count:], strict=True):
            if row is not None and name in inspect(row).unloaded:
                set_committed_value(row, name, members_of(kind).get(text, text))


def members_of(kind: Enum) -> Mapping[Any, Any]:
    """What can be chosen, by the texts for it in the database; nothing, where it is not clear what that is."""
    if kind.enum_class is None:
        return {text: text for text in kind.enums}
    by_value = {str(each.value): each for each in kind.enum_class}
    found = {text: kind.enum_class.__members__.get(text, by_value.get(text)) for text in kind.enums}
    return found if None not in found.values() else {}
