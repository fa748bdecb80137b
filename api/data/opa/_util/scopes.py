"""What a scope is written like: a word by which someone is allowed to do something, such as `shop:write`."""

from __future__ import annotations

from opa._util.patterns import lazy_pattern

# What RFC 6749 has for a scope: it stands in a header, between quotes.
_FIT = lazy_pattern(r"[\x21\x23-\x5b\x5d-\x7e]+")


def is_scope(text: object) -> bool:
    """Whether `text` can be a scope: printable ASCII without spaces, quotes and backslashes."""
    return isinstance(text, str) and _FIT.fullmatch(text) is not None
