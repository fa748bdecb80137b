"""Whatever JSON can have, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies

_PLAIN = (
    strategies.none()
    | strategies.booleans()
    | strategies.floats()
    | strategies.integers()
    | strategies.text(max_size=9)
)


def json_values(*names: str) -> strategies.SearchStrategy[Any]:
    """Values, of which objects have these names more often than others."""
    keys = strategies.sampled_from(names) | strategies.text() if names else strategies.text()
    return strategies.recursive(
        _PLAIN,
        lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(keys, inner, max_size=6),
        max_leaves=12,
    )
