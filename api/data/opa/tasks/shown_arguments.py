"""The arguments of a task, and its result, as they are shown: shortened, secrets masked."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from opa._util.masking.secrets import MASK, mask_setting, mask_text
from opa._util.printable import in_one_line

LONGEST_ARGUMENTS, LONGEST_RESULT = 200, 1000
"""Characters."""


def shown_arguments(headers: Mapping[str, Any], names: Sequence[str] = ()) -> str:
    """Those that the headers of a message tell, as in a call; whatever they hold.

    Args:
        headers: of the message.
        names: of the parameters that they are for, by position.
    """
    arguments = [headers[key] for key in ("argsrepr", "kwargsrepr") if headers.get(key) not in (None, "()", "{}")]
    text = " ".join(_shown(argument, names) for argument in arguments if isinstance(argument, str))
    return text if len(text) <= LONGEST_ARGUMENTS else f"{text[:LONGEST_ARGUMENTS]}…"


def shown_result(value: Any) -> str:
    """A result as Python writes it. One that takes megabytes is not written as a whole first."""
    if type(value) in (int, float, bool):
        return str(value)
    from celery.utils.saferepr import saferepr  # what shows a result has it

    try:
        text = mask_text(in_one_line(saferepr(value, LONGEST_RESULT)))
    except Exception as error:  # noqa: BLE001 - whatever an object of a plugin does
        return f"<{type(value).__name__}: it cannot be shown ({type(error).__name__})>"
    return text if len(text) <= LONGEST_RESULT else f"{text[: LONGEST_RESULT - 1]}…"


def _shown(text: str, names: Sequence[str]) -> str:
    """Arguments, which Celery keeps as Python writes them, unless the sender has written something else there."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # as the documentation of literal_eval has them
        return MASK if names else mask_text(text)  # it was shortened, or has an object
    if names and isinstance(value, tuple):
        named = zip(value, itertools.chain(names, itertools.repeat(names[-1])), strict=False)
        return mask_text(repr(tuple(mask_setting(name, item) for item, name in named)))
    shown = mask_setting("", value)
    return mask_text(repr(tuple(shown) if isinstance(value, tuple) else shown))
