"""Routers for plugins."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

# What a router has that was given no lifespan: it runs its `on_startup` and `on_shutdown`.
_DEFAULT_LIFESPAN = type(APIRouter().lifespan_context)


def get_router(*args: Any, **kwargs: Any) -> APIRouter:
    """A FastAPI `APIRouter`; a plugin that has one under the name `router` has its routes in the application."""
    return APIRouter(*args, **kwargs)


def has_lifespan(router: APIRouter) -> bool:
    """Whether the router was given a lifespan, which gets the application."""
    return not isinstance(router.lifespan_context, _DEFAULT_LIFESPAN)
