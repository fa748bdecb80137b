"""What the OpenAPI document of an application depends on, to see whether that has changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from opa.core.routers import has_lifespan
from opa.core.setups import asks_for
from opa.http.routing.route_list import RouteList
from opa.loading.conventions import STARTUP_GROUP

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

_about = attrgetter(
    *("title", "version", "openapi_version", "summary", "description", "terms_of_service", "contact", "license_info"),
    *("openapi_tags", "servers", "separate_input_output_schemas", "openapi_external_docs"),
    *("root_path", "root_path_in_servers"),
)
_objects = attrgetter(
    *("path_format", "methods", "name", "include_in_schema", "operation_id", "unique_id", "summary", "description"),
    *(
        "deprecated",
        "status_code",
        "response_description",
        "response_class",
        "response_field",
        "body_field",
        "dependant",
    ),
)
_contents = attrgetter("tags", "responses", "openapi_extra")


class Routes(NamedTuple):
    """The routes of an application at one moment, with those of routers in it, and what it says about itself.

    Attributes:
        routers: the routers, each with what its list of routes was.
        about: title, servers, tags and so on.
    """

    routers: tuple[tuple[APIRouter, _Listed], ...]
    about: str

    @classmethod
    def from_app(cls, app: FastAPI) -> Routes:
        """Those of now; for any thread."""
        routers, listed = [app.router, app.webhooks], []
        for router in routers:  # which grows meanwhile
            listed.append(_Listed.from_routes(router.routes))
            # In a fork each route that is touched first brings a page of memory to copy. A loop lets other threads in
            # meanwhile; whatever takes all of them in one go comes after it.
            for route in router.routes:
                included = getattr(route, "original_router", None)  # FastAPI has no public name for what it includes
                if included is not None and not any(included is known for known in routers):
                    routers.append(included)
        return cls(tuple(zip(routers, listed, strict=True)), repr(_about(app)))

    def are_those_of(self, app: FastAPI) -> bool:
        """Whether no route has come, gone or been replaced since."""
        return (
            self.routers[0][0] is app.router
            and all(listed.is_still(router.routes) for router, listed in self.routers)
            and self.about == repr(_about(app))
        )


class _Listed(NamedTuple):
    """What a list of routes was.

    A list that tells when it has changed is not read again: in a fork each route that is touched brings a page of
    memory to copy. Routes are compared by identity, since Starlette takes two of one path and function for equal.
    """

    state: tuple[object, int] | None
    routes: tuple[BaseRoute, ...] = ()

    @classmethod
    def from_routes(cls, routes: list[BaseRoute]) -> _Listed:
        return cls(routes.state) if isinstance(routes, RouteList) else cls(None, tuple(routes))

    def is_still(self, routes: list[BaseRoute]) -> bool:
        if isinstance(routes, RouteList):
            return routes.state == self.state
        return self.state is None and len(routes) == len(self.routes) and all(map(is_, routes, self.routes))


def fingerprint(app: FastAPI) -> int:
    """Another number where a route was changed in its place, as FastAPI's guide does with `operation_id`.

    It holds in this process and in those that are forked from it. Takes some 5 microseconds for each route.
    """
    from fastapi.routing import iter_route_contexts  # another version of FastAPI may not have it, nor is this called

    found = 0
    for context in iter_route_contexts([*app.routes, *app.webhooks.routes]):
        route = context.original_route
        if isinstance(route, APIRoute):
            contents = _contents(route)
            texts = repr(contents) if any(contents) else ""
            found = hash((found, *map(id, _objects(route)), len(route.dependant.dependencies), texts))
    return found


def plugins_get_the_application(manager: PluginManager) -> bool:
    """Whether a plugin asks for `app` when a process starts, and so may change a route in its place."""
    # Those that come with opa-stack change no route.
    objects = [found for found in manager.registry.objects if not found.plugin.file.is_built_in]
    functions = [function for found in objects for function in found.lifecycle.functions.values()]
    return (
        any(asks_for("app", setup) for found in objects for setup in found.setups)
        or any(_names_app(function) for function in [*functions, *manager.groups.get(STARTUP_GROUP.name).values()])
        or any(found.router is not None and has_lifespan(found.router) for found in objects)
    )


def _names_app(function: Callable[..., Any]) -> bool:
    return "app" in inspect.signature(function).parameters
