"""Primary keys of rows as texts in an address, whatever their types are."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from copy import copy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Dialect, Enum, TypeDecorator, and_, inspect, or_, tuple_, type_coerce
from sqlalchemy.types import UserDefinedType
from starlette.requests import Request
from starlette_admin.fields import StringField
from starlette_admin.tools import iterdecode, iterencode

NAME = "opa_key"
"""What a key as a text is called among the fields of a row."""
_OTHER = "~"
"""Before a text that could not stand in an address by itself: there, an empty one is none."""
_NULL = "~-"
"""For nothing in a column of several; a text that begins like that has one more `~`."""
_MICROSECOND = timedelta(microseconds=1)


class RowKeys:
    """The primary key of a model: of one column, or of several.

    Args:
        model: of SQLAlchemy.
    """

    def __init__(self, model: type[Any]) -> None:
        mapper: Any = inspect(model)
        self.names: list[str] = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        self._parts = [
            _Part(getattr(model, name), column) for name, column in zip(self.names, mapper.primary_key, strict=True)
        ]

    def text_of(self, row: Any, dialect: Dialect) -> str:
        """The key of a row as a text; the same for no other.

        Args:
            row: of the model.
            dialect: of the database that it is in.
        """
        values = [getattr(row, name) for name in self.names]
        if len(values) == 1:
            return _escaped(self._parts[0].text_of(values[0], dialect))
        texts = [
            _NULL if value is None else _escaped(part.text_of(value, dialect), also_empty=False)
            for part, value in zip(self._parts, values, strict=True)
        ]
        return _escaped(iterencode(texts))

    def condition_of(self, texts: Sequence[Any]) -> Any:
        """The condition by which rows are found.

        Raises:
            ValueError, TypeError, OverflowError, LookupError, ArithmeticError: a text is the key of no row.
        """
        found = [self._values_of(str(text)) for text in texts]
        columns = [part.column for part in self._parts]
        if len(columns) == 1:
            return columns[0].in_([value for (value,) in found])
        whole = [values for values in found if None not in values]
        # Nothing is equal to NULL.
        others = [
            and_(*(column == value for column, value in zip(columns, values, strict=True)))
            for values in found
            if None in values
        ]
        return or_(tuple_(*columns).in_(whole), *others)

    def _values_of(self, text: str) -> tuple[Any, ...]:
        whole = text.removeprefix(_OTHER)
        if len(self._parts) == 1:
            return (self._parts[0].read(whole),)
        parts = zip(self._parts, iterdecode(whole), strict=True)
        return tuple(None if text == _NULL else part.read(text.removeprefix(_OTHER)) for part, text in parts)


class _Part:
    """One column of a key.

    Args:
        attribute: of the model.
        column: of the table.

    Attributes:
        column: is compared with what is read.
        read: gives what is compared for a text.
    """

    def __init__(self, attribute: Any, column: Any) -> None:
        # Only the type itself knows what its values are; what is kept for them is known.
        self._is_own = isinstance(column.type, TypeDecorator | UserDefinedType)
        self._type = column.type
        self.column = type_coerce(attribute, _as_kept(column.type)) if self._is_own else attribute
        self.read = _untagged if self._is_own else _reader_of(column.type)

    def text_of(self, value: Any, dialect: Dialect) -> str:
        """The text for a value."""
        if not self._is_own:
            return _text_of(value)
        bound = self._type.dialect_impl(dialect).bind_processor(dialect)
        return _tagged(value if bound is None else bound(value))


def _as_kept(kind: Any) -> Any:
    """The type with values as they are kept."""
    made = copy(kind)
    made.__class__ = type(type(kind).__name__, (type(kind),), {"bind_processor": lambda *_: None, "cache_ok": False})
    return made


class KeyField(StringField):
    """The key of a row as a text, which is on no page.

    Args:
        keys: make it.
    """

    def __init__(self, keys: RowKeys) -> None:
        super().__init__(NAME)
        self._row_keys = keys

    async def parse_obj(self, request: Request, obj: Any) -> str:
        """That of a row."""
        return self._row_keys.text_of(obj, request.state.session.get_bind().dialect)


def _escaped(text: str, *, also_empty: bool = True) -> str:
    return f"{_OTHER}{text}" if text.startswith(_OTHER) or (also_empty and not text) else text


def _text_of(value: Any) -> str:
    match value:
        case enum.Enum():
            return value.name
        case bytes():
            return value.hex()
        case timedelta():
            return str(value // _MICROSECOND)
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _reader_of(kind: Any) -> Callable[[str], Any]:
    """What makes the value of a column of a text that `_text_of` has made of it."""
    if isinstance(kind, Enum) and kind.enum_class is not None:
        return kind.enum_class.__getitem__
    try:
        made: type[Any] = kind.python_type
    except NotImplementedError:  # which is how a type says that it does not say
        return str
    return str if made is object else _READERS.get(made, made)


_READERS: dict[type[Any], Callable[[str], Any]] = {
    bool: {"True": True, "False": False}.__getitem__,
    bytes: bytes.fromhex,
    timedelta: lambda text: int(text) * _MICROSECOND,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
}
_TAGGED: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (str, int, float, bool, bytes, Decimal, UUID, datetime, date, time, timedelta)
}


def _tagged(value: Any) -> str:
    """A text for a value of any type, which says what type that is; a text itself, if it does not look like that."""
    value = bytes(value) if isinstance(value, memoryview | bytearray) else value
    text = _text_of(value)
    return text if type(value) is str and text.partition(":")[0] not in _TAGGED else f"{type(value).__name__}:{text}"


def _untagged(text: str) -> Any:
    name, _, rest = text.partition(":")
    kind = _TAGGED.get(name)
    return text if kind is None else _READERS.get(kind, kind)(rest)
