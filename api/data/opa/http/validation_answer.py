"""The answer to a request that a route cannot take: FastAPI's 422, which shows what was sent, but never all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

MAX_ERRORS = 50
"""Errors that an answer has; one of a list of a million has as many."""
MAX_VALUES = 100
"""Values of an input that are shown."""
MAX_CHARACTERS = 500
"""Characters of a text that are shown."""
MAX_LEVELS = 10


async def answer_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    """What FastAPI answers, within limits: what is left out is said to be."""
    if not isinstance(error, RequestValidationError):  # Starlette gives nothing else to a handler of this class
        raise TypeError(error)
    errors = error.errors()
    shown = [jsonable_encoder(_shortened(each, _Budget(), 0)) for each in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        more = len(errors) - MAX_ERRORS
        shown.append({"type": "too_many_errors", "loc": [], "msg": f"{more} more errors are not shown"})
    return JSONResponse({"detail": shown}, status_code=422)


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_VALUES


def _shortened(value: Any, budget: _Budget, level: int) -> Any:
    if isinstance(value, str | bytes):
        # A file that was sent need not be text.
        return _shortened_text(
            value if isinstance(value, str) else value[: 4 * MAX_CHARACTERS].decode(errors="replace")
        )
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 3 * MAX_CHARACTERS:
        return "… (a number of many digits)"
    if not isinstance(value, Mapping | list | tuple):
        return value
    if level == MAX_LEVELS:
        return "…"
    if isinstance(value, Mapping):
        shown: dict[Any, Any] = {}
        for key, item in value.items():
            if budget.left <= 0:
                shown["…"] = f"{len(value) - len(shown)} more"
                break
            budget.left -= 1
            shown[_shortened(key, budget, level)] = _shortened(item, budget, level + 1)
        return shown
    items: list[Any] = []
    for item in value:
        if budget.left <= 0:
            items.append(f"… {len(value) - len(items)} more")
            break
        budget.left -= 1
        items.append(_shortened(item, budget, level + 1))
    return items


def _shortened_text(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]}… ({len(text) - MAX_CHARACTERS} more characters)"
