"""Masks the texts of which it is known that nothing of them may be shown: what value files have.

A message quotes such a text in some form: an item of a list, a module of an import string, in quotes, in lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote, urlsplit

from opa._util.masking.shapes import MASK
from opa.current import current

SHORTEST_HIDDEN = 4
"""Characters of a text that is looked for: a shorter one is in many texts by chance."""
_SHORTEST_IN_WORD = 8
"""Characters of one that is also looked for inside of a longer word."""
_MOST_ITEMS = 50
"""Items of a text that are looked for by themselves. Each costs time with every line of the log."""
_HARMLESS = frozenset({"true", "false", "null", "none"})


def hide(text: str, *, is_imported: bool = False) -> None:
    """From now on `mask_hidden`, and `mask_text` with it, mask this text and what messages may quote of it.

    Args:
        text: one value, or a list of several.
        is_imported: whether these are import strings, of which a message may have the module alone.
    """
    forms = {_lower(form) for part in _parts(text, is_imported) for form in _forms(part.strip())}
    forms = {form for form in forms if len(form) >= SHORTEST_HIDDEN and form not in _HARMLESS}
    current.hidden_texts = tuple(sorted({*current.hidden_texts, *forms}, key=lambda form: (-len(form), form)))


def mask_hidden(text: str) -> str:
    """`text` with `***` for all that is hidden, in any case; the same object where there is nothing of it."""
    if not current.hidden_texts:
        return text
    lower = _lower(text)
    for form in current.hidden_texts:
        if form in lower:
            text = _pattern_of(form).sub(MASK, text)
    return text


_ONE_FOR_ONE = str.maketrans("İıΣςſK", "iiσσsk")


def _lower(text: str) -> str:
    """`text` in lower case as the patterns see it, who ignore case: a character for each, whatever is beside it."""
    return text.lower() if text.isascii() else text.translate(_ONE_FOR_ONE).lower()


@cache
def _pattern_of(form: str) -> re.Pattern[str]:
    pattern = re.escape(form)
    if len(form) < _SHORTEST_IN_WORD:
        # "\n" written as two characters stands before a word, and not in it.
        pattern = rf"(?:(?<!\w)|(?<=\\[nrt])){pattern}(?!\w)"
    return re.compile(pattern, re.IGNORECASE)


def _parts(text: str, is_imported: bool) -> Iterator[str]:
    """The text, its items where it is a list, and of each what is quoted without the rest of it."""
    yield text
    items = re.split(r"[,\r\n]", text, maxsplit=_MOST_ITEMS)
    for item in (each.strip(" \t\"'[]{}") for each in items if len(items) <= _MOST_ITEMS):
        yield item
        yield from _password_of(item)
        if is_imported:
            module, _, name = item.partition(":")
            steps = module.split(".")
            yield from (".".join(steps[:length]) for length in range(1, len(steps) + 1))
            yield from (steps[-1], name)


def _password_of(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return
    yield from (password, unquote(password))


def _forms(text: str) -> Iterator[str]:
    yield from (text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    if not text.isascii():
        yield from (ascii(text)[1:-1], repr(text.encode(errors="backslashreplace"))[2:-1])
