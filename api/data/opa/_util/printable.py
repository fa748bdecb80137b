r"""Shows text from outside as plain text: nothing in it moves a cursor, begins a line or changes the writing direction.

Tabs and the newlines of a text that may have several lines stay; every other control character is shown as `\x1b`, the
marks of bidirectional text and other line separators as `\u202e`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from opa._util.patterns import lazy_pattern

INDENT = "  "
"""Before each further line of a text in the log, where a line that begins at the margin is a new one."""

# Control characters (C0 without \t and \n, DEL, C1 with NEL), marks of direction, separators of lines, the mark of byte
# order, and halves of characters, which cannot be encoded.
_UNSAFE = lazy_pattern(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def printable(text: str) -> str:
    """`text` with its control characters as escapes. Newlines and tabs stay."""
    return text if text.isprintable() else _UNSAFE.sub(_escaped, text)


def in_one_line(text: str) -> str:
    r"""The same with newlines as `\n`, for what must stay one line, such as a cell of a table."""
    return text if text.isprintable() else _UNSAFE.sub(_escaped, text).replace("\n", "\\n")


def indented(text: str) -> str:
    """The same with every line but the first indented, so that none can be taken for the beginning of another text."""
    return text if text.isprintable() else _UNSAFE.sub(_escaped, text).replace("\n", f"\n{INDENT}")


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """`value` as JSON in which letters of every language stay, and control characters are escapes of JSON's own.

    Numbers that JSON does not have are texts, such as `"nan"`.
    """
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, default=str, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def encodable(text: str, encoding: str) -> str:
    """`text` with escapes for what `encoding` does not have, as standard error has it of its own."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
