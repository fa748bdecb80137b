"""Routers for plugins."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter


def get_router(*args: Any, **kwargs: Any) -> APIRouter:
    """A FastAPI `APIRouter`; a plugin that has one under the name `router` has its routes in the application."""
    return APIRouter(*args, **kwargs)
