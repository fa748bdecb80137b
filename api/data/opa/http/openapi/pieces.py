"""Describe the routes of an application piece by piece.

The document is the one that `app.openapi()` gives, made by the same functions of FastAPI, with the same content in the
same order. FastAPI makes one tree of Python objects, checks it, and turns it into text, each in one piece. With 10,000
routes such a piece holds every other thread for 0.25 s, and the tree takes 120 MB as long as the process lives. Here
each path goes through by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.openapi.models import OpenAPI
from fastapi.openapi.utils import get_fields_from_routes, get_openapi, get_openapi_path
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from opa._compat.fastapi.openapi import get_definitions, get_flat_models_from_fields, get_model_name_map
from opa._util.sources import where_is_function
from opa.current import current
from opa.http.openapi.document import as_json
from opa.http.openapi.problems import naming


class Security(Protocol):
    """What the document says of who may use the routes; see `opa.http.access.documented`."""

    schemes: Mapping[str, Any]
    responses: Mapping[str, Any]

    def add_to(self, operations: Mapping[str, Any], path: str, endpoint: object, dependant: Any) -> bool:
        """Add it to the operations of a route; whether they require an actor."""


def described(app: FastAPI, security: Security | None) -> dict[str, Any]:
    """The members of the document, with paths, webhooks and schemas encoded."""
    routes, webhooks = list(app.routes), list(app.webhooks.routes)
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        routes=[],
        tags=app.openapi_tags,
        servers=app.servers,
        terms_of_service=app.terms_of_service,
        license_info=app.license_info,
        external_docs=app.openapi_external_docs,
    )
    if app.contact:  # of an address, FastAPI logs that it would rather have another package
        info = document["info"]
        behind = {name: info.pop(name) for name in ("license", "version") if name in info}
        document["info"] = {**info, "contact": dict(app.contact), **behind}
    last = {name: document.pop(name) for name in ("tags", "externalDocs") if name in document}
    parts = _Routes([*routes, *webhooks], separate=app.separate_input_output_schemas)
    document["paths"] = parts.paths(routes, security)
    if paths := parts.paths(webhooks):
        document["webhooks"] = paths
    if components := parts.components():
        document["components"] = components
    return document | last


class _Routes:
    """The routes, and what their descriptions share: models, the names of these, answers, and security schemes."""

    def __init__(self, routes: Sequence[BaseRoute], *, separate: bool) -> None:
        self._separate = separate
        self._security: dict[str, Any] = {}
        self._responses: dict[str, Any] = {}
        self._operation_ids: set[str] = set()
        try:
            fields = get_fields_from_routes(routes)
            self._names = get_model_name_map(get_flat_models_from_fields(fields, known_models=set()))
            self._fields, self._schemas = get_definitions(
                fields=fields, model_name_map=self._names, separate_input_output_schemas=separate
            )
        except Exception:
            self._raise_for_the_first_that_fails(routes)
            raise

    def _raise_for_the_first_that_fails(self, routes: Sequence[BaseRoute]) -> None:
        for route in iter_route_contexts(routes):
            with _naming_route(route):
                get_openapi(title="", version="", routes=[route], separate_input_output_schemas=self._separate)

    def paths(self, routes: Sequence[BaseRoute], access: Security | None = None) -> dict[str, bytes]:
        """Each path with its operations, and who may use them."""
        paths: dict[str, dict[str, Any]] = {}
        for route in iter_route_contexts(routes):
            if not isinstance(route.original_route, APIRoute):
                continue
            with _naming_route(route):
                operations, security, schemas = get_openapi_path(
                    route=cast("Any", route),
                    operation_ids=self._operation_ids,
                    model_name_map=self._names,
                    field_mapping=self._fields,
                    separate_input_output_schemas=self._separate,
                )
            if operations and access is not None:
                endpoint, dependant = route.endpoint, getattr(route, "dependant", None)
                if access.add_to(operations, str(route.path_format), endpoint, dependant):
                    self._security.update(access.schemes)
                    self._responses.update(access.responses)
            if current.rate_limits:
                from opa.http.rate_limits.documented import add_answer  # where none is limited, nothing is imported

                add_answer(operations, cast("Any", route).dependant)
            if operations:
                paths.setdefault(cast("str", route.path_format), {}).update(operations)
            self._security.update(security)
            self._schemas.update(schemas)
        return {path: _checked_path(path, paths.pop(path)) for path in list(paths)}

    def components(self) -> dict[str, Any]:
        """What the paths refer to; known when they are made."""
        components: dict[str, Any] = {}
        if self._schemas:
            components["schemas"] = {name: _checked_schema(name, self._schemas[name]) for name in sorted(self._schemas)}
        for name, members in (("responses", self._responses), ("securitySchemes", self._security)):
            if members:
                components |= _checked(components={name: members})["components"]
        return components


def _checked_path(path: str, operations: dict[str, Any]) -> bytes:
    with naming(f" for the path {path}"):
        return as_json(_checked(paths={path: operations})["paths"][path])


def _checked_schema(name: str, schema: dict[str, Any]) -> bytes:
    with naming(f" for the schema {name}"):
        return as_json(_checked(components={"schemas": {name: schema}})["components"]["schemas"][name])


def _checked(**members: Any) -> dict[str, Any]:
    """A document with these members, as FastAPI checks it in the end."""
    document = OpenAPI(openapi="", info=cast("Any", {"title": "", "version": ""}), **members)
    return cast("dict[str, Any]", jsonable_encoder(document, by_alias=True, exclude_none=True))


def _naming_route(route: RouteContext) -> AbstractContextManager[None]:
    methods = ",".join(sorted(route.methods or ()))
    where = where_is_function(route.endpoint) if route.endpoint else None
    return naming(f" for the route {methods} {route.path}", where)
