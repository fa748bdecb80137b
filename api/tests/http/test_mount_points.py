from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from opa.http.mount_points import MountPoints, RouteWithPlugin
from opa.http.routing.route_list import RouteList
from tests.http.accelerated import accelerated
from tests.project import Project


def plain(path: str = "/plain") -> Route:
    return Route(path, lambda request: request)


def mounted() -> Mount:
    return Mount("/mounted", app=Starlette())


class Known:
    """Mount points of a list, and how often all of it was read."""

    def __init__(self, routes: list[BaseRoute]) -> None:
        self.routes = routes
        self.reads = 0
        self.points = MountPoints(lambda: self.routes, self.read)

    def read(self) -> Iterator[RouteWithPlugin]:
        self.reads += 1
        yield from ((route, "shop") for route in list(self.routes))


def test_the_routes_that_lead_into_an_application_are_found_with_their_plugin() -> None:
    point = mounted()
    known = Known(RouteList([plain(), point, plain()]))
    assert known.points.current() == [(point, "shop")]


def test_a_list_is_read_again_only_when_it_may_have_another_mount_point() -> None:
    known = Known(RouteList([plain(), mounted()]))
    known.points.current()
    known.routes.append(plain("/more"))
    assert len(known.points.current()) == 1
    assert known.reads == 1
    known.routes.append(mounted())
    assert len(known.points.current()) == 2
    assert len(known.points.current()) == 2
    assert known.reads == 2
    del known.routes[1]
    assert len(known.points.current()) == 1
    assert known.reads == 3


def test_a_list_that_does_not_tell_when_it_changes_is_always_read() -> None:
    known = Known([plain()])
    assert known.points.current() == []
    known.routes[0] = mounted()
    assert len(known.points.current()) == 1


@accelerated
def test_no_process_reads_the_routes_when_it_starts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fork each one that is touched takes a page of memory."""
    project.plugin("a.py", 'from opa import get_router\nrouter = get_router()\nrouter.get("/a")(lambda: 1)')
    app = project.app()
    reads = []

    def noted(routes: RouteList) -> Iterator[BaseRoute]:
        reads.append(len(routes))
        return list.__iter__(routes)

    monkeypatch.setattr(RouteList, "__iter__", noted, raising=False)
    with TestClient(app) as client:
        assert reads == []
        assert client.get("/a").json() == 1
