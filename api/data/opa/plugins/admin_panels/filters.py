"""Values of filters with a comma: starlette-admin takes each of them for several, and leaves the quotes around them."""

from __future__ import annotations

from typing import Any

from starlette_admin.fields import BaseField
from starlette_admin.filters import FilterRegistry
from starlette_admin.filters.base import BaseFilter

SEVERAL = frozenset({"in", "not_in"})
"""The names of filters that have several values."""


class WholeValues(FilterRegistry):
    """Gives filters that read such a value as it was entered."""

    def get_filter(self, field: BaseField, name: str) -> type[BaseFilter] | None:
        """The filter of that name; None where the field has none."""
        kind = super().get_filter(field, name)
        if kind is None:
            return None
        read: Any = kind.parse_value

        def parse_value(self: BaseFilter, raw: Any) -> Any:
            if isinstance(raw, list):
                raw = [_unquoted(each) for each in raw] if name in SEVERAL else _unquoted(",".join(raw))
            return read(self, raw)

        return type(kind.__name__, (kind,), {"parse_value": parse_value})


def _unquoted(text: str) -> str:
    # Where another filter has been taken out, there are quotes around quotes.
    while len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text
