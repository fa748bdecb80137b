"""Names as keys of the YAML that commands print."""

from __future__ import annotations

import json

_NO_TEXTS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Which YAML, in one version or another, reads as nothing or as a switch."""


def yaml_name(name: str) -> str:
    """`name`, of letters, digits, `-` and `_`: in quotes where YAML would read a number, a date or a switch."""
    is_text = name[:1].isalpha() and name.lower() not in _NO_TEXTS
    return name if is_text else json.dumps(name)
