"""Words in messages."""

from __future__ import annotations

import re

from opa._util.objects import attribute, is_a
from opa._util.patterns import lazy_pattern

# Letters that are spoken with a vowel first, where a name starts with letters that are spoken one by one.
_LETTERS = lazy_pattern(r"[AEFHILMNORSX]([A-Z]|$)")
_SPOKEN = lazy_pattern(r"(?!uni|use|util|uuid)[aeiou]", re.IGNORECASE)
_SPELT = lazy_pattern(r"[A-Z]([A-Z]|$)")


def kind_of(value: object) -> str:
    """What `value` is, with its article: `an int`, `a list`, `an APIRouter`; of a class its name, `the class Gate`."""
    if is_a(value, type):
        return f"the class {attribute(value, '__name__')}"
    name = type(value).__name__
    starts_like_a_vowel = (_LETTERS if _SPELT.match(name) else _SPOKEN).match(name)
    return f"{'an' if starts_like_a_vowel else 'a'} {name}"
