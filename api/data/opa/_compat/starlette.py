"""What is private in Starlette, and used here."""

from __future__ import annotations

from starlette._utils import get_route_path

__all__ = ["get_route_path"]
