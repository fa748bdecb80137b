"""What is private in Starlette, and used here."""

from __future__ import annotations

import inspect
from types import FunctionType, ModuleType

import fastapi.applications
import starlette.applications
import starlette.middleware.errors
from starlette._utils import get_route_path
from starlette.middleware.errors import ServerErrorMiddleware

__all__ = ["ServerErrorAnswer", "get_route_path", "has_patched_calls", "has_patched_errors"]


def has_patched_calls() -> bool:
    """Whether something has replaced what is called for each request, as agents that watch applications do."""
    return not (
        _is_of(starlette.applications, starlette.applications.Starlette.__call__)
        and _is_of(fastapi.applications, fastapi.applications.FastAPI.__call__)
    )


def has_patched_errors() -> bool:
    """Whether something has replaced the call of the middleware for errors, as agents do that wait for its end."""
    return not _is_of(starlette.middleware.errors, ServerErrorMiddleware.__call__)


class ServerErrorAnswer(ServerErrorMiddleware):
    """The middleware for errors as Starlette has it: what has replaced its call does not hear of this one."""

    __call__ = inspect.unwrap(ServerErrorMiddleware.__call__)


def _is_of(module: ModuleType, function: object) -> bool:
    return type(function) is FunctionType and function.__globals__ is vars(module)
