"""What is private in Starlette, and used here."""

from __future__ import annotations

from types import FunctionType, ModuleType

import fastapi.applications
import starlette.applications
from starlette._utils import get_route_path

__all__ = ["get_route_path", "has_patched_calls"]


def has_patched_calls() -> bool:
    """Whether something has replaced what is called for each request, as agents that watch applications do."""
    return not (
        _is_of(starlette.applications, starlette.applications.Starlette.__call__)
        and _is_of(fastapi.applications, fastapi.applications.FastAPI.__call__)
    )


def _is_of(module: ModuleType, function: object) -> bool:
    return type(function) is FunctionType and function.__globals__ is vars(module)
