"""Random route tables and requests: our router answers as FastAPI's own does, whose code tries all routes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.exceptions import FastAPIError
from fastapi.routing import _IncludedRouter
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.http.routing.tables import CHANGES, Asked, answering, both, hold_together, seen

# Texts between slashes, and what may stand for their parameters in a path. `@` makes the names of parameters unique.
SEGMENTS = {
    "a": ["a", "A"],
    "b": ["b", "b\n"],
    "a.b": ["a.b", "axb"],
    "a b": ["a b"],
    "é": ["é"],
    "": [""],
    "{": ["{"],
    "{x@}": ["a", "b", "1", "a-b", "é", "a\n", "\n", "{x}", ""],
    "{x@:int}": ["1", "a", "1\n", "1" * 5000],
    "{x@:float}": ["1.5", "1", "1."],
    "{x@:uuid}": ["00000000-0000-0000-0000-000000000000", "0"],
    "{x@}-{y@}": ["a-b", "-", "a-b-c"],
    "v{x@:int}": ["v1", "v", "1"],
    "{x@:path}": ["", "a", "a/b", "a/", "/", "a\n", "\n"],
    "{x@:path}.b": ["a.b", "a/b.b", ".b\n", "b"],
    "a{x@:path}": ["a", "a/b", "b"],
    "{x@:pair}": ["a/b", "a", "a/b/c"],
    "{x@:loose}": ["a", "b", "a/b"],
}
VALUES = {text: [*[values[0]] * 9, *values] for text, values in SEGMENTS.items()}
METHODS = ["GET", "GET", "GET", "POST", "HEAD"]
ROOT_PATHS = ["/a", "/a/b", "/a/", "/", "a", "/é"]
HOSTS = ["a.example.com", "b.example.com:80"]


class Pair(Convertor[str]):
    regex = "[a-z]+/[a-z]+"

    def convert(self, value: str) -> str:
        return value


class Loose(Pair):
    """A pattern that ends its own parentheses."""

    regex = "a)|(b"


@pytest.fixture(scope="module", autouse=True)
def convertors() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CONVERTOR_TYPES, "pair", Pair())
        patch.setitem(CONVERTOR_TYPES, "loose", Loose())
        yield


# What a table has


@dataclass(frozen=True)
class Entry:
    """Something in a route table: a kind, a path, and what else its kind needs."""

    kind: str
    path: str
    methods: tuple[str, ...] = ("GET",)
    inner: tuple[Entry, ...] = ()


class Picky(BaseRoute):
    """A route of a class that nobody knows: it looks at the last letter."""

    def __init__(self, letter: str, app: ASGIApp) -> None:
        self.letter = letter
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if not scope["path"].endswith(self.letter):
            return Match.NONE, {}
        return (Match.PARTIAL if scope.get("method") == "POST" else Match.FULL), {"picked": self.letter}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Prefixed(Route):
    """A route that matches more than its path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches({**scope, "path": "/" + scope["path"].split("/")[-1]})


def add(router: Router, entries: Iterable[Entry], name: str = "") -> None:
    """Put what the entries stand for into the routes of `router`; each has a name by which its answers are known."""
    for number, entry in enumerate(entries):
        ADD[entry.kind](router, entry, f"{name}/{number}")


def add_api(router: Any, entry: Entry, name: str) -> None:
    async def endpoint(request: Request) -> Any:
        return json.loads(seen(request.scope, name))

    router.add_api_route(entry.path, endpoint, methods=list(entry.methods), name=name[-1])


def add_api_socket(router: Any, entry: Entry, name: str) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.close(1000, seen(websocket.scope, name).decode())

    router.add_api_websocket_route(entry.path, endpoint, name=name[-1])


def add_plain(router: Router, entry: Entry, name: str) -> None:
    app: Any = type("App", (), {"__call__": staticmethod(answering(name))})()
    router.routes.append(Route(entry.path, app, methods=entry.methods, name=name[-1]))


def add_any_method(router: Router, entry: Entry, name: str) -> None:
    app: Any = type("App", (), {"__call__": staticmethod(answering(name))})()
    router.routes.append(Route(entry.path, app, name=name[-1]))


def add_socket(router: Router, entry: Entry, name: str) -> None:
    app: Any = type("App", (), {"__call__": staticmethod(answering(name))})()
    router.routes.append(WebSocketRoute(entry.path, app, name=name[-1]))


def add_changed(router: Router, entry: Entry, name: str) -> None:
    """A route whose path was changed by hand, with and without its pattern."""
    add_plain(router, entry, name)
    route: Any = router.routes[-1]
    route.path = "/b" + entry.path
    if "POST" in entry.methods:
        route.path_regex, route.path_format, route.param_convertors = compile_path(route.path)


def add_ignoring_case(router: Router, entry: Entry, name: str) -> None:
    add_plain(router, entry, name)
    route: Any = router.routes[-1]
    route.path_regex = re.compile(route.path_regex.pattern, re.IGNORECASE)


def add_prefixed(router: Router, entry: Entry, name: str) -> None:
    app: Any = type("App", (), {"__call__": staticmethod(answering(name))})()
    router.routes.append(Prefixed(entry.path, app, name=name[-1]))


def add_relative(router: Any, entry: Entry, name: str) -> None:
    """FastAPI takes a path without a slash before it, which matches in any case of letters."""
    add_api(router, Entry("api", entry.path.lstrip("/"), entry.methods), name)


def add_router(router: Router, entry: Entry, name: str) -> None:
    inner = Router()
    add(inner, entry.inner, name)
    router.routes.append(Mount(entry.path, inner, name=name[-1] if len(entry.inner) > 2 else None))


def add_include(router: Any, entry: Entry, name: str) -> None:
    inner = APIRouter()
    add(inner, entry.inner, name)
    with suppress(FastAPIError):  # a prefix and a path that are both empty
        router.include_router(inner, prefix=entry.path)


ADD: dict[str, Callable[[Any, Entry, str], None]] = {
    "api": add_api,
    "api socket": add_api_socket,
    "plain": add_plain,
    "any method": add_any_method,
    "socket": add_socket,
    "changed": add_changed,
    "ignoring case": add_ignoring_case,
    "prefixed": add_prefixed,
    "relative": add_relative,
    "picky": lambda router, entry, name: router.routes.append(Picky(entry.path[-1], answering(name))),
    "mount": lambda router, entry, name: router.routes.append(Mount(entry.path.rstrip("/"), answering(name))),
    "host": lambda router, entry, name: router.routes.append(Host("{x}.example.com", answering(name), name="1")),
    "router": add_router,
    "include": add_include,
}
NESTED = {"router", "include"}


def paths(depth: int = 0) -> st.SearchStrategy[str]:
    def joined(texts: list[str]) -> str:
        return "".join("/" + text.replace("@", f"{depth}{place}") for place, text in enumerate(texts))

    common = st.sampled_from(["a", "b", "{x@}"])
    return st.lists(st.one_of(common, st.sampled_from(list(SEGMENTS))), min_size=1, max_size=4).map(joined)


def leaves(depth: int = 0) -> st.SearchStrategy[Entry]:
    methods = st.sampled_from([("GET",), ("POST",), ("GET", "POST")])
    kinds = st.sampled_from([*["api", "plain"] * 5, *sorted(set(ADD) - NESTED)])
    return st.builds(Entry, kinds, paths(depth), methods)


def nested(kind: str, depth: int) -> st.SearchStrategy[Entry]:
    inner = leaves(depth) if depth > 1 else st.one_of(leaves(depth), nested("include", depth + 1))
    if kind == "router":
        inner = leaves(depth).filter(lambda entry: entry.kind not in {"api", "api socket", "relative"})
    prefixes = st.one_of(st.just(""), paths(depth + 5).map(lambda path: path.rstrip("/")))
    return st.builds(Entry, st.just(kind), prefixes, inner=st.lists(inner, min_size=1, max_size=4).map(tuple))


TABLES = st.lists(st.one_of(leaves(), leaves(), nested("router", 1)), min_size=1, max_size=8)
NESTED_TABLES = st.lists(st.one_of(leaves(), nested("include", 1), nested("router", 1)), min_size=1, max_size=5)


# What is asked


def typical(entries: Iterable[Entry], prefixes: Iterable[str] = ("",)) -> list[Asked]:
    """Requests for each path, which most often match, and for what is near to it."""
    filled = [prefix + fill(path, lambda values: values[0]) for prefix in prefixes for path in all_paths(entries)]
    return [asked for path in filled for asked in near(path)]


def near(path: str) -> list[Asked]:
    return [
        Asked("http", "GET", path),
        Asked("http", "POST", path),
        Asked("websocket", "GET", path),
        Asked("http", "GET", path + "/"),
        Asked("http", "GET", path.rstrip("/") + "\n"),
        Asked("http", "GET", path + "/\n"),
        Asked("http", "GET", f"/a{path}//", "/a/"),
    ]


def fill(path: str, choose: Callable[[list[str]], str]) -> str:
    """The path with something for its parameters."""
    return "/".join(choose(VALUES.get(re.sub(r"(?<=[xy])\d+", "@", text), [text])) for text in path.split("/"))


def all_paths(entries: Iterable[Entry], before: str = "") -> list[str]:
    return [path for entry in entries for path in (before + entry.path, *all_paths(entry.inner, before + entry.path))]


ENDS = ["/", "//", "\n", "/\n", "/b", "\n/"]


@st.composite
def requests(draw: st.DrawFn, entries: Iterable[Entry]) -> Asked:
    """A request for something in a table, or near to it."""
    path = draw(st.sampled_from([*all_paths(entries), "/", "/nobody"]))
    path = fill(path, lambda values: draw(st.sampled_from(values)))
    root_path = draw(mostly("", st.sampled_from(ROOT_PATHS)))
    path = root_path + path + draw(mostly("", st.sampled_from(ENDS)))
    return Asked(
        draw(mostly("http", st.just("websocket"))),
        draw(st.sampled_from(METHODS)),
        draw(mostly(path, st.sampled_from([path[1:], "/" + path, path.removeprefix(root_path)]))),
        root_path,
        draw(mostly("localhost", st.sampled_from(HOSTS))),
    )


def mostly(usual: str, others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 5).flatmap(lambda number: others if number == 5 else st.just(usual))


# More of them by hand: FUZZ_EXAMPLES=20000 python -m pytest …
def same_each_time(examples: int) -> settings:
    return settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES", examples)),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def both_with(table: Iterable[Entry]) -> tuple[FastAPI, FastAPI]:
    theirs, ours = both()
    for app in (theirs, ours):
        add(app.router, table)
    return theirs, ours


@same_each_time(50)
@given(data=st.data())
def test_a_table_answers_as_with_fastapis_router(data: st.DataObject) -> None:
    table = data.draw(TABLES)
    theirs, ours = both_with(table)
    hold_together(theirs, ours, [*typical(table), *data.draw(st.lists(requests(table), max_size=10))])


@same_each_time(30)
@given(data=st.data())
def test_a_nested_table_answers_as_with_fastapis_router(data: st.DataObject) -> None:
    table = data.draw(NESTED_TABLES)
    theirs, ours = both_with(table)
    hold_together(theirs, ours, [*typical(table), *data.draw(st.lists(requests(table), max_size=10))])


@same_each_time(50)
@given(data=st.data())
def test_names_lead_to_the_urls_that_fastapis_router_gives(data: st.DataObject) -> None:
    table = data.draw(NESTED_TABLES)
    theirs, ours = both_with(table)
    for path in all_paths(table):
        parameters = dict.fromkeys(re.findall(r"{(\w+)", path), "1")
        for name in NAMES:
            for given_parameters in (parameters, {**parameters, "path": "/p"}, {**parameters, "x": "1"}):
                assert url(ours, name, given_parameters) == url(theirs, name, given_parameters), (name, path)


NAMES = ["0", "1", "2", "1:0", "2:1", "nobody"]
"""Of routes, which have the last letter of that by which `add` knows them, and of routes in a mounted router."""


def url(app: FastAPI, name: str, parameters: dict[str, str]) -> tuple[str, ...]:
    try:
        found = app.url_path_for(name, **parameters)
    except Exception as error:  # most often that there is none
        return (repr(error),)
    return found, found.protocol, found.host


# Changes


def made(entry: Entry, name: str) -> BaseRoute:
    router = APIRouter()
    add(router, [entry], name)
    return router.routes[0]


@same_each_time(30)
@given(data=st.data())
def test_changes_of_the_list_are_followed(data: st.DataObject) -> None:
    table = data.draw(st.lists(leaves(), min_size=1, max_size=6))
    added = data.draw(st.lists(leaves(), min_size=1, max_size=4))
    everything = typical([*table, *added])
    theirs, ours = both_with(table)
    hold_together(theirs, ours, everything)
    for number, entry in enumerate(added):
        change = data.draw(st.sampled_from(sorted(CHANGES)))
        place = data.draw(st.integers(0, 5))
        for app in (theirs, ours):
            if app.router.routes:
                CHANGES[change](app.router, place, made(entry, f"added {number}"))
        hold_together(theirs, ours, everything)


@dataclass(frozen=True)
class Included:
    """Two applications that include the same routers."""

    theirs: FastAPI
    ours: FastAPI
    routers: list[APIRouter]
    prefixes: list[str]
    entries: list[Entry]

    def hold_together(self, added: list[Entry]) -> None:
        hold_together(self.theirs, self.ours, typical([*self.entries, *added], self.prefixes))


@st.composite
def included(draw: st.DrawFn) -> Included:
    theirs, ours = both()
    tables = draw(st.lists(st.lists(nested("include", 2), max_size=3), min_size=1, max_size=3))
    routers, prefixes = [], set()
    for number, table in enumerate(tables):
        router = APIRouter(prefix=draw(st.sampled_from(["", "/a"])))
        add(router, table, f"router {number}")
        prefix = draw(st.sampled_from(["", "/b"]))
        for app in (theirs, ours):
            app.include_router(router, prefix=prefix)
        prefixes.add(prefix + router.prefix)
        routers += [router, *(route.original_router for route in router.routes if isinstance(route, _IncludedRouter))]
    return Included(theirs, ours, routers, sorted(prefixes), [entry for table in tables for entry in table])


@same_each_time(30)
@given(data=st.data())
def test_routes_that_included_routers_get_later_are_served(data: st.DataObject) -> None:
    both_apps = data.draw(included())
    # Of other kinds FastAPI does not see that an included router has got them once it has looked.
    later = leaves().filter(lambda entry: entry.kind in {"api", "api socket"})
    added = data.draw(st.lists(st.one_of(later, nested("include", 3)), min_size=1, max_size=3))
    both_apps.hold_together(added)
    for number, entry in enumerate(added):
        add(data.draw(st.sampled_from(both_apps.routers)), [entry], f"added {number}")
        both_apps.hold_together(added)


@same_each_time(30)
@given(data=st.data())
def test_changes_of_included_routers_before_the_first_request_count(data: st.DataObject) -> None:
    both_apps = data.draw(included())
    added = data.draw(st.lists(st.one_of(leaves(), nested("include", 3)), min_size=1, max_size=3))
    for number, entry in enumerate(added):
        router = data.draw(st.sampled_from(both_apps.routers))
        change = data.draw(st.sampled_from(["add", "insert", "clear"]))
        if change == "insert":
            router.routes.insert(0, made(entry, f"added {number}"))
        else:
            if change == "clear":
                router.routes.clear()
            add(router, [entry], f"added {number}")
    both_apps.hold_together(added)
