"""What the paths look like that a route can match."""

from __future__ import annotations

import re
from functools import cache

from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.convertors import (
    CONVERTOR_TYPES,
    FloatConvertor,
    IntegerConvertor,
    StringConvertor,
    UUIDConvertor,
)
from starlette.routing import PARAM_REGEX, BaseRoute, Mount, Route, WebSocketRoute

from opa.http.routing.index import ANY, Shape

# What matches by `path_regex` alone. A class with a `matches` of its own may do anything.
_KNOWN = frozenset({Route.matches, WebSocketRoute.matches, Mount.matches, APIRoute.matches, APIWebSocketRoute.matches})

_WITHOUT_SLASH = frozenset(kind.regex for kind in (StringConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor))
_FLAGS = re.compile("").flags
_NOTHING = "(?!)"  # in the place of a convertor's pattern that cannot be read, so that the whole is never a route's


def shape_of(route: BaseRoute) -> Shape:
    """The shape of the paths that `route` can match; `ANY` where its path does not tell."""
    matches, path = getattr(route.matches, "__func__", None), getattr(route, "path", None)
    if matches not in _KNOWN or not isinstance(path, str):
        return ANY
    shape, pattern = _read(path + "/{path:path}" if matches is Mount.matches else path)
    return shape if _has_pattern(route, pattern) else ANY


def is_found_by_its_path(route: BaseRoute) -> bool:
    """Whether the path of `route`, and nothing else, says which requests it matches."""
    return shape_of(route) is not ANY


def fits_its_path(route: Route | WebSocketRoute) -> bool:
    """Whether the pattern of `route` is still what Starlette makes of its path."""
    return _has_pattern(route, _read(route.path)[1])


def _has_pattern(route: BaseRoute, pattern: str) -> bool:
    regex = getattr(route, "path_regex", None)
    return isinstance(regex, re.Pattern) and regex.pattern == pattern and regex.flags == _FLAGS


def _read(path: str) -> tuple[Shape, str]:
    """The shape of a path with parameters, and the pattern that Starlette makes of it."""
    segments: list[str | None] = []
    patterns: list[str] = []
    is_open = False
    for text in path.split("/"):
        segment, pattern, spans = _read_segment(text)
        patterns.append(pattern)
        is_open = is_open or spans
        if not is_open:
            segments.append(segment)
    while segments and segments[-1] == "":
        segments.pop()
    return Shape(tuple(segments[1:]), is_open), f"^{'/'.join(patterns)}$"


def _read_segment(text: str) -> tuple[str | None, str, bool]:
    """The text if it is one, its pattern, and whether it may match more than one segment."""
    if "{" not in text:
        return text, re.escape(text), False
    pattern, end, spans = "", 0, False
    for found in PARAM_REGEX.finditer(text):
        name, kind = found.groups("str")
        convertor = CONVERTOR_TYPES.get(kind.lstrip(":"))
        regex = _NOTHING if convertor is None or not _is_whole(convertor.regex) else convertor.regex
        pattern += f"{re.escape(text[end : found.start()])}(?P<{name}>{regex})"
        spans = spans or regex not in _WITHOUT_SLASH
        end = found.end()
    return None if end else text, pattern + re.escape(text[end:]), spans


@cache
def _is_whole(pattern: str) -> bool:
    """Whether a convertor's pattern stays within its parentheses, unlike `a)|(b`."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
