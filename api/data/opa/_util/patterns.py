"""Regular expressions of modules that each start imports, and of which most are not asked in one."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_METHODS = ("finditer", "fullmatch", "match", "search", "split", "sub")


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """A regular expression that is compiled when it is first asked: that takes up to half a millisecond.

    It has methods and attributes of `re.Pattern`, and is none: give it to no function that wants one.

    Args:
        text: the expression.
        flags: as `re.compile` takes them.
    """
    return cast("re.Pattern[AnyStr]", _LazyPattern(text, flags))


class _LazyPattern:
    def __init__(self, text: Any, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(*self._given)
        for method in _METHODS:  # from here on they are the compiled one's, and nothing stands between
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
