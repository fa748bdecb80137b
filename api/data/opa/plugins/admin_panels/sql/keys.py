"""Primary keys of rows as texts in an address, whatever their types are."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Enum, TypeDecorator, inspect, tuple_
from starlette.requests import Request
from starlette_admin.fields import StringField
from starlette_admin.tools import iterdecode, iterencode

NAME = "opa_key"
"""What a key as a text is called among the fields of a row."""
_OTHER = "~"
"""Before a text that could not stand in an address by itself: there, an empty one is none."""
_MICROSECOND = timedelta(microseconds=1)


class RowKeys:
    """The primary key of a model: of one column, or of several.

    Args:
        model: of SQLAlchemy.
    """

    def __init__(self, model: type[Any]) -> None:
        mapper: Any = inspect(model)
        self.names: list[str] = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        self._columns = [getattr(model, name) for name in self.names]
        self._readers = [_reader_of(column.type) for column in mapper.primary_key]

    def text_of(self, row: Any) -> str:
        """The key of a row as a text; the same for no other."""
        texts = [_text_of(getattr(row, name)) for name in self.names]
        return _escaped(texts[0] if len(texts) == 1 else iterencode(texts))

    def condition_of(self, texts: Sequence[Any]) -> Any:
        """The condition by which rows are found.

        Raises:
            ValueError, TypeError, OverflowError, LookupError, ArithmeticError: a text is the key of no row.
        """
        found = [self._values_of(str(text)) for text in texts]
        if len(self._columns) == 1:
            return self._columns[0].in_([value for (value,) in found])
        return tuple_(*self._columns).in_(found)

    def _values_of(self, text: str) -> tuple[Any, ...]:
        whole = text.removeprefix(_OTHER)
        parts = (whole,) if len(self._readers) == 1 else iterdecode(whole)
        return tuple(read(part) for read, part in zip(self._readers, parts, strict=True))


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
        return self._row_keys.text_of(obj)


def _escaped(text: str) -> str:
    return f"{_OTHER}{text}" if not text or text.startswith(_OTHER) else text


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
        made = object
    if (
        made is object
    ):  # a type of the plugin's own need not say; what is kept for it is known where it decorates another
        return _reader_of(kind.impl_instance) if isinstance(kind, TypeDecorator) else str
    by_type: dict[type[Any], Callable[[str], Any]] = {
        bool: {"True": True, "False": False}.__getitem__,
        bytes: bytes.fromhex,
        timedelta: lambda text: int(text) * _MICROSECOND,
        datetime: datetime.fromisoformat,
        date: date.fromisoformat,
        time: time.fromisoformat,
    }
    return by_type.get(made, made)
