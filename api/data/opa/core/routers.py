"""Routers for plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastapi import APIRouter, params

from opa._util.annotations import keep_dependencies

# What a router has that was given no lifespan: it runs its `on_startup` and `on_shutdown`.
_DEFAULT_LIFESPAN = type(APIRouter().lifespan_context)


class Router(APIRouter):
    """FastAPI's, for functions some of whose types the type checker alone knows."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Do what FastAPI does."""
        keep_dependencies(endpoint, *_called(self.dependencies), *_called(options.get("dependencies")))
        super().add_api_route(path, endpoint, **options)

    def add_api_websocket_route(self, path: str, endpoint: Callable[..., Any], *args: Any, **options: Any) -> None:
        """Do what FastAPI does."""
        keep_dependencies(endpoint, *_called(self.dependencies), *_called(options.get("dependencies")))
        super().add_api_websocket_route(path, endpoint, *args, **options)

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Do what FastAPI does."""
        keep_dependencies(*_called(options.get("dependencies")))
        super().include_router(router, **options)


def _called(dependencies: Iterable[params.Depends] | None) -> Iterator[Any]:
    return (each.dependency for each in dependencies or ())


def get_router(*args: Any, **kwargs: Any) -> APIRouter:
    """A FastAPI `APIRouter`; a plugin that has one under the name `router` has its routes in the application."""
    return Router(*args, **kwargs)


def has_lifespan(router: APIRouter) -> bool:
    """Whether the router was given a lifespan, which gets the application."""
    return not isinstance(router.lifespan_context, _DEFAULT_LIFESPAN)
