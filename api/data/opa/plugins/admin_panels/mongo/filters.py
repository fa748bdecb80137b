"""Filters of the list, as conditions of MongoDB. A value is compared and never an operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette_admin.fields import (
    BaseField,
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    NumberField,
    StringField,
)
from starlette_admin.filters import FilterApplyContext, FilterGroup, FilterRegistry, filters
from starlette_admin.filters.base import BaseFilter
from starlette_admin.filters.boolean import IsFalseFilter, IsTrueFilter
from starlette_admin.filters.date import (
    DateBetweenFilter,
    DateEqualFilter,
    DateInFutureFilter,
    DateInPastFilter,
    DateTimeBetweenFilter,
    DateTimeEqualFilter,
)
from starlette_admin.filters.enum import InFilter, NotInFilter
from starlette_admin.filters.generic import EqualFilter, IsNotNullFilter, IsNullFilter, NotEqualFilter
from starlette_admin.filters.numeric import (
    BetweenFilter,
    GreaterThanFilter,
    GreaterThanOrEqualFilter,
    LessThanFilter,
    LessThanOrEqualFilter,
)
from starlette_admin.filters.numeric import EqualFilter as NumberEqualFilter
from starlette_admin.filters.numeric import NotEqualFilter as NumberNotEqualFilter
from starlette_admin.filters.string import ContainsFilter, EndsWithFilter, NotContainsFilter, StartsWithFilter

from opa.plugins.admin_panels.filters import WholeValues
from opa.plugins.admin_panels.mongo.values import kept

Condition = dict[str, Any]


def text_condition(text: str, *, before: str = "", after: str = "") -> Condition:
    """That a text is in another, in whatever case."""
    return {"$regex": f"{before}{re.escape(text)}{after}", "$options": "i"}


_CONDITIONS: Mapping[str, Callable[[Any, Any], Condition]] = {
    "eq": lambda value, _: {"$eq": value},
    "neq": lambda value, _: {"$ne": value},
    "gt": lambda value, _: {"$gt": value},
    "gte": lambda value, _: {"$gte": value},
    "lt": lambda value, _: {"$lt": value},
    "lte": lambda value, _: {"$lte": value},
    "between": lambda value, other: {"$gte": value, "$lte": other},
    "in": lambda value, _: {"$in": value},
    "not_in": lambda value, _: {"$nin": value},
    "contains": lambda value, _: text_condition(value),
    "not_contains": lambda value, _: {"$not": text_condition(value)},
    "startswith": lambda value, _: text_condition(value, before="^"),
    "endswith": lambda value, _: text_condition(value, after="$"),
    "is_true": lambda *_: {"$eq": True},
    "is_false": lambda *_: {"$eq": False},
    "is_null": lambda *_: {"$eq": None},
    "is_not_null": lambda *_: {"$ne": None},
    "in_past": lambda *_: {"$lt": datetime.now(UTC)},
    "in_future": lambda *_: {"$gt": datetime.now(UTC)},
}
"""By the name of a filter: what its values mean."""


def _made(kind: type[Any]) -> type[Any]:
    """The filter of starlette-admin, with what it means here."""

    def apply(_self: BaseFilter, ctx: FilterApplyContext) -> Condition:
        key = ctx.view.keys[ctx.field_name]  # type: ignore[union-attr]  # that of a panel of ours
        return {key: _CONDITIONS[kind.name](kept(ctx.value), kept(ctx.value2))}

    return type(kind.__name__, (kind,), {"apply": apply})


_NULL = [_made(IsNullFilter), _made(IsNotNullFilter)]
_TEXTS = [
    *map(_made, (ContainsFilter, NotContainsFilter, StartsWithFilter, EndsWithFilter, EqualFilter, NotEqualFilter)),
    *_NULL,
]
_NUMBERS = [
    *map(_made, (NumberEqualFilter, NumberNotEqualFilter, GreaterThanFilter, LessThanFilter)),
    *map(_made, (GreaterThanOrEqualFilter, LessThanOrEqualFilter, BetweenFilter)),
    *_NULL,
]
_CHOICES = [*map(_made, (EqualFilter, NotEqualFilter, InFilter, NotInFilter)), *_NULL]
_BOOLEANS = [*map(_made, (IsTrueFilter, IsFalseFilter)), *_NULL]
_TIMES = [
    *map(_made, (DateTimeEqualFilter, DateTimeBetweenFilter, DateInPastFilter, DateInFutureFilter)),
    *_NULL,
]
_DAYS = [*map(_made, (DateEqualFilter, DateBetweenFilter)), *_NULL]


class MongoFilters(WholeValues):
    """Which filters there are for which field."""

    @filters(BaseField, DecimalField)
    def of_any(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of all that has no others."""
        return _NULL

    @filters(StringField)
    def of_texts(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of texts."""
        return _TEXTS

    @filters(NumberField, FloatField)
    def of_numbers(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of numbers."""
        return _NUMBERS

    @filters(EnumField)
    def of_choices(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of what is one of several."""
        return _CHOICES

    @filters(BooleanField)
    def of_booleans(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of yes and no."""
        return _BOOLEANS

    @filters(DateTimeField)
    def of_times(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of moments."""
        return _TIMES

    @filters(DateField)
    def of_days(self, _field: BaseField) -> list[type[BaseFilter]]:
        """Of days, which are kept as texts."""
        return _DAYS


def condition_of(group: FilterGroup, fields: dict[str, BaseField], registry: FilterRegistry, view: Any) -> Condition:
    """What a group of filters means; all documents for none."""
    parts: list[Condition] = []
    for rule in group.rules:
        if isinstance(rule, FilterGroup):
            parts.append(condition_of(rule, fields, registry, view))
            continue
        kind = registry.get_filter(fields[rule.field], rule.filter)
        if kind is not None:
            parts.append(kind().apply(FilterApplyContext(None, rule.field, rule.value, rule.value2, None, view)))
    parts = [part for part in parts if part]
    return {"$or" if group.logic == "or" else "$and": parts} if parts else {}
