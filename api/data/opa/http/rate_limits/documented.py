"""The answer 429 of limited routes, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.dependencies.models import Dependant

from opa.http.rate_limits.headers import STATUS
from opa.http.rate_limits.rate_limit import RouteLimit

ANSWER: Final[Mapping[str, Any]] = {
    "description": "Too Many Requests",
    "headers": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}},
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
        }
    },
}


def add_answer(operations: Mapping[str, Any], dependant: Dependant) -> None:
    """Add it to the operations of a route that is limited, unless the route describes one itself."""
    if _is_limited(dependant):
        for operation in operations.values():
            operation["responses"].setdefault(str(STATUS), ANSWER)


def _is_limited(dependant: Dependant) -> bool:
    return any(isinstance(each.call, RouteLimit) or _is_limited(each) for each in dependant.dependencies)
