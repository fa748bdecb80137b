"""Who finds the routes: the index over them, or FastAPI itself where it was not tested with this version of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from opa._compat.fastapi import tested
from opa.http.routing.plain import PlainRoutes
from opa.logging.logger import log

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from starlette.routing import BaseRoute
    from starlette.types import Scope


class Routes(Protocol):
    """The routes of an application."""

    def routes_with_routers(self) -> Iterator[tuple[BaseRoute, APIRouter | None]]:
        """The routes in the order in which they are tried, each with the router that was included with it in it."""

    def candidates(self, scope: Scope) -> Sequence[BaseRoute]:
        """Those that can match the path, with and without a slash at its end, in the order in which they are tried."""

    def router_of(self, route: BaseRoute) -> APIRouter | None:
        """The router that was included with one of them in it, or that one of them stands for."""

    def included(self) -> Iterator[BaseRoute]:
        """Those that stand for a router that was included."""

    def build_index(self) -> None:
        """Do now what the next request would wait for."""


def choose_routes(app: FastAPI) -> Routes:
    """The routes of a new application; where there is to be an index over them, with another router."""
    problem = tested.problem()
    if problem is not None:
        log.warning(f"{problem}. It finds and describes the routes itself, which takes longer where there are many")
        return PlainRoutes(app)
    from opa.http.routing.router import IndexedRouter  # takes names of FastAPI that another version may not have

    app.router = router = IndexedRouter.in_place_of(app.router)
    return router
