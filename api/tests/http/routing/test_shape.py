from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.convertors import CONVERTOR_TYPES, StringConvertor
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute, compile_path

from opa.http.routing.index import ANY, Shape
from opa.http.routing.shape import fits_its_path, shape_of

APP = PlainTextResponse("answer")


async def endpoint() -> None: ...


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/", Shape(())),
        ("/a", Shape(("a",))),
        ("/a/", Shape(("a",))),
        ("/a//b//", Shape(("a", "", "b"))),
        ("//a", Shape(("", "a"))),
        ("/a.b/{c", Shape(("a.b", "{c"))),
        ("/a/{x}/b", Shape(("a", None, "b"))),
        ("/{x}-{y}/v{n:int}", Shape((None, None))),
        ("/{a:str}/{b:int}/{c:float}/{d:uuid}", Shape((None,) * 4)),
        ("/a/{x:path}", Shape(("a",), is_open=True)),
        ("/a//{x:path}", Shape(("a",), is_open=True)),
        ("/a/b{x:path}/c", Shape(("a",), is_open=True)),
        ("/{x:path}", ANY),
    ],
)
def test_a_path_has_a_shape_of_its_fixed_and_variable_segments(path: str, shape: Shape) -> None:
    plain: list[Route | WebSocketRoute] = [Route(path, APP), WebSocketRoute(path, APP)]
    routes = [*plain, APIRoute(path, endpoint), APIWebSocketRoute(path, endpoint)]
    assert [shape_of(route) for route in routes] == [shape] * 4
    assert all(fits_its_path(route) for route in routes)


@pytest.mark.parametrize(
    ("path", "shape"), [("/a", Shape(("a",), is_open=True)), ("/{x}/", Shape((None,), is_open=True)), ("", ANY)]
)
def test_behind_a_mount_may_be_anything(path: str, shape: Shape) -> None:
    assert shape_of(Mount(path, APP)) == shape


def test_an_unknown_convertor_may_match_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pair(StringConvertor):
        regex = "[a-z]+/[a-z]+"

    monkeypatch.setitem(CONVERTOR_TYPES, "pair", Pair())
    assert shape_of(Route("/a/{x:pair}/b", APP)) == Shape(("a",), is_open=True)


def test_a_convertor_may_break_out_of_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loose(StringConvertor):
        regex = "a)|(b"

    monkeypatch.setitem(CONVERTOR_TYPES, "loose", Loose())
    assert shape_of(Route("/a/{x:loose}", APP)) == ANY


def test_hosts_and_unknown_classes_tell_nothing() -> None:
    class Own(BaseRoute): ...

    class OwnMatches(Route):
        def matches(self, scope: Any) -> Any:
            return super().matches(scope)

    class NoPath(Route):
        def __init__(self) -> None: ...

    assert [shape_of(route) for route in (Host("a", APP), Own(), OwnMatches("/a", APP), NoPath())] == [ANY] * 4


def test_a_route_with_a_handler_of_its_own_tells_its_path() -> None:
    class OwnHandler(APIRoute):
        async def handle(self, *args: Any) -> None: ...

    assert shape_of(OwnHandler("/a", endpoint)) == Shape(("a",))


def test_a_path_that_the_pattern_does_not_fit_tells_nothing() -> None:
    changed, replaced, kind, relative = (Route("/a/{x}", APP) for _ in range(4))
    changed.path = "/b/{x}"
    kind.path = "/a/{x:int}"
    replaced.path_regex = re.compile(replaced.path_regex.pattern, re.IGNORECASE)
    relative.path = "a"
    relative.path_regex, _, relative.param_convertors = compile_path("a")
    for route in (changed, replaced, kind, relative):
        assert shape_of(route) == ANY
        assert not fits_its_path(route)
    changed.path_regex, _, changed.param_convertors = compile_path(changed.path)
    assert shape_of(changed) == Shape(("b", None))
