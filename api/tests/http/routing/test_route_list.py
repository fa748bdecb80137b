from __future__ import annotations

import copy
import gc

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router

from opa.http.routing.route_list import Alarm, RouteList
from tests.http.routing.tables import CHANGES

APP = PlainTextResponse("answer")
GROWING = {"append", "extend", "+="}


def routes(*paths: str) -> RouteList:
    return RouteList(Route(path, APP) for path in paths)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_each_change_of_a_list_of_routes_is_seen(name: str) -> None:
    router = Router()
    router.routes = changing = routes("/c", "/a", "/b")
    alarm = Alarm()
    changing.watch(alarm)
    before, version, state = list(changing), changing.version, changing.state
    CHANGES[name](router, 1, Route("/new", APP))
    if name == "assign":
        assert router.routes is not changing
        return
    assert [id(route) for route in changing] != [id(route) for route in before]
    assert alarm.is_on
    assert changing.state != state
    assert (changing.version is version) == (name in GROWING)


def test_reading_a_list_of_routes_is_no_change_of_it() -> None:
    reading = routes("/a", "/b")
    state = reading.state
    assert len([*reading, *reading[:1], reading[0]]) == 4
    assert reading + reading
    assert reading.state == state


def test_a_change_that_fails_half_way_is_seen() -> None:
    changing = routes("/a", "/b")
    state = changing.state
    with pytest.raises(ZeroDivisionError):
        changing.extend(Route("/c", APP) if number else 1 / number for number in (1, 0))
    assert changing.state != state


def test_unreferenced_alarms_are_removed() -> None:
    changing = routes()
    for _ in range(3):
        changing.watch(Alarm())
    kept = Alarm()
    changing.watch(kept)
    changing.watch(kept)
    gc.collect()
    assert len(changing._alarms) == 1


def test_a_copy_of_a_list_of_routes_is_another_list() -> None:
    first = routes("/a")
    second = copy.copy(first)
    assert second == first
    assert second.state != first.state
