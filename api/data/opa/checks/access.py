"""Rules about who may use what that let nobody in, or concern nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute, Mount

from opa._util.sources import where_is_function
from opa.access.authenticators import GROUP
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.http.access.rules import Segments
    from opa.http.application import Api


def nobody_can_sign_in(app: Api) -> Iterator[Finding]:
    """A finding where something requires an actor, and no authenticator could find one. Next to nothing otherwise."""
    if app.manager.groups.get(GROUP):
        return
    required, where, config = "", "", app.manager.config
    if app.access_rules is not None:
        required = "the setting ACCESS or ACCESS_DEFAULT requires an actor"
        where = config.source("ACCESS" if config.ACCESS else "ACCESS_DEFAULT")
    elif "opa.http.access.requires" in sys.modules:  # or else no route can require one
        from opa.http.access.documented import required_in

        for route, _ in app.routes_with_routers():
            if isinstance(route, APIRoute | APIWebSocketRoute) and any(required_in(route.dependant)):
                required = f"the route {route.path} requires an actor"
                where = where_is_function(route.endpoint)
                break
    if required:
        yield Finding(
            f"{required}, and the group {GROUP} is empty: every such request is answered 401",
            where=where,
            hint="Add a plugin that registers an authenticator",
        )


def paths_without_route(app: Api) -> Iterator[Finding]:
    """A finding for each path in ACCESS at which, and below which, there is no route."""
    rules = app.access_rules
    if rules is None or not rules.by_path or app.has_frontends():
        return
    routes = [route for route, _ in app.routes_with_routers()]
    for path in rules.by_path:
        if not any(_may_serve(route, path) for route in routes):
            yield Finding(
                f"ACCESS has a rule for /{'/'.join(path)}, and no route is there or below it",
                where=app.manager.config.source("ACCESS"),
                hint="Write the path as it is routed, without the prefix of a proxy",
            )


def webhooks_that_need_an_actor(app: Api) -> Iterator[Finding]:
    """A finding for each route with `Signed` that the settings close to a sender that does nothing but sign.

    Not where a path in ACCESS or the code says so: then it is meant.
    """
    rules = app.access_rules
    if rules is None or "opa.http.webhooks.signed" not in sys.modules:  # or else no route can have one
        return
    from opa.http.access.documented import calls_in, required_in
    from opa.http.access.rules import segments_of
    from opa.http.webhooks.signed import SignedBody

    rule = app.access_rules_of_routes()
    for route, _ in app.routes_with_routers():
        if not isinstance(route, APIRoute) or rules.for_path(segments_of(route.path)) is not None:
            continue
        if rule(route.path, route.endpoint).is_open or any(required_in(route.dependant)):
            continue
        if any(isinstance(call, SignedBody) for call in calls_in(route.dependant)):
            yield Finding(
                f"the route {route.path} is for signed requests, and the settings require an actor as well: a sender "
                "that has no API key is answered 401",
                where=where_is_function(route.endpoint),
                hint="Say in ACCESS that its path is open, or where this is meant, add Requires to the route",
            )


def _may_serve(route: BaseRoute, path: Segments) -> bool:
    """Whether a route may answer at `path`, or below it."""
    declared = getattr(route, "path", None)
    if not isinstance(declared, str):
        return True  # whatever it is, it decides by itself
    segments = [segment for segment in declared.split("/") if segment]
    for mine, theirs in zip(segments, path, strict=False):
        if ":path}" in mine:
            return True
        if mine != theirs and "{" not in mine:
            return False
    return len(segments) >= len(path) or isinstance(route, Mount)
