"""Build the OpenAPI document of an application."""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from opa._compat.fastapi import tested
from opa._compat.fastapi.inclusion import leaves
from opa._util.sources import where_is_function
from opa.http.openapi.document import Document, encode
from opa.http.openapi.problems import naming

FASTAPIS_OWN = FastAPI.openapi


def is_fastapis_own(app: FastAPI) -> bool:
    """Whether what `app.openapi()` gives is unchanged in each of the ways that FastAPI documents."""
    return "openapi" not in vars(app) and type(app).openapi is FASTAPIS_OWN and not app.openapi_schema


def build(app: FastAPI) -> Document:
    """The document of an application whose `openapi` is FastAPI's own. May take seconds; for any thread.

    Raises:
        OpenApiError: something cannot be described; the message names the route, where it is one.
    """
    with naming(""):
        return encode(_in_one_piece(app) if tested.problem() else _in_pieces(app))


def _in_pieces(app: FastAPI) -> dict[str, Any]:
    from opa.http.openapi.pieces import described  # which takes names of FastAPI that another version may not have

    return described(app)


def _in_one_piece(app: FastAPI) -> dict[str, Any]:
    """What `app.openapi()` gives; by a copy of the application, which keeps it forever."""
    try:
        return copy.copy(app).openapi()
    except Exception:
        for route, path in leaves([*app.routes, *app.webhooks.routes]):
            methods = ",".join(sorted(getattr(route, "methods", None) or ()))
            endpoint = getattr(route, "endpoint", None)
            with naming(f" for the route {methods} {path}", where_is_function(endpoint) if endpoint else None):
                get_openapi(title="", version="", routes=[route])
        raise
