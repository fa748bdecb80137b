"""Whether this is a version of FastAPI whose private names are used. With another one, FastAPI itself does the work."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import fastapi

TESTED = ("0.163", "0.164", "0.165")
"""Minor releases with which the tests of HTTP have passed; see `make test-versions`."""

NEEDED = {
    "fastapi.routing": (
        "_EffectiveRouteContext.starlette_route",
        "_EffectiveRouteContext.original_route",
        "_IncludedRouter.effective_route_contexts",
        "_IncludedRouter.effective_low_priority_routes",
        "_IncludedRouter._build_effective_context",
        "_RouterIncludeContext.combine",
        "APIRouter._iter_low_priority_routes",
        "RouteContext.original_route",
        "iter_route_contexts",
        "request_response",
    ),
    "fastapi.datastructures": ("DefaultPlaceholder",),
    "fastapi.dependencies.models": ("Dependant",),
    "fastapi.params": ("Depends._concurrency",),
    "fastapi.openapi.models": ("OpenAPI",),
    "fastapi.openapi.utils": ("get_fields_from_routes", "get_openapi", "get_openapi_path"),
    "fastapi._compat": ("get_definitions", "get_flat_models_from_fields", "get_model_name_map"),
    "fastapi.telemetry._asgi": ("ExceptionTelemetryMiddleware",),
}
"""Names without which the index over the routes, or the OpenAPI document piece by piece, cannot be made, by module."""


def problem() -> str | None:
    """Why FastAPI is to find the routes and to describe them itself; None where that is done here, and faster."""
    version = fastapi.__version__
    if version.rpartition(".")[0] not in TESTED:
        return f"FastAPI {version} is not one of the versions that opa-stack is tested with ({', '.join(TESTED)})"
    missing = [f"{module}.{name}" for module, names in NEEDED.items() for name in names if not _has(module, name)]
    return f"FastAPI {version} has no {', '.join(missing)}" if missing else None


def _has(module: str, name: str) -> bool:
    try:
        found: Any = import_module(module)
    except ImportError:
        return False
    for part in name.split("."):
        # A field of a dataclass without a default is an annotation alone.
        if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
            return False
        found = getattr(found, part, None)
    return True
