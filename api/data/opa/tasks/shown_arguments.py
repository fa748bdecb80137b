"""The arguments of a task as they are shown: shortened, secrets masked."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from opa._util.masking.secrets import mask_setting, mask_text

LONGEST_ARGUMENTS = 200


def shown_arguments(headers: Mapping[str, Any]) -> str:
    """Those that the headers of a message tell, as in a call; whatever they hold."""
    arguments = [headers[key] for key in ("argsrepr", "kwargsrepr") if headers.get(key) not in (None, "()", "{}")]
    text = " ".join(_shown(argument) for argument in arguments if isinstance(argument, str))
    return text if len(text) <= LONGEST_ARGUMENTS else f"{text[:LONGEST_ARGUMENTS]}…"


def _shown(text: str) -> str:
    """Arguments, which Celery keeps as Python writes them, unless the sender has written something else there."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # as the documentation of literal_eval has them
        return mask_text(text)
    shown = mask_setting("", value)
    return mask_text(repr(tuple(shown) if isinstance(value, tuple) else shown))
