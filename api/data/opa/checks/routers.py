"""Routers and applications in plugins whose routes are not in the application."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Mount

from opa._compat.fastapi.inclusion import router_in
from opa._util.objects import is_a
from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.loading.conventions import ROUTER

if TYPE_CHECKING:
    from opa.checks.code import Code
    from opa.core.manager import PluginManager
    from opa.http.application import Api

CONVENTION = ROUTER.name


@dataclass
class _Suspect:
    """A router or an application none of whose routes is served, and its names, each with its plugin and module."""

    router: APIRouter | Starlette
    names: list[tuple[str, ModuleType, str]] = field(default_factory=list)

    @property
    def routes(self) -> list[BaseRoute]:
        """Its routes, without those for the document of an application."""
        return [
            route
            for route in self.router.routes
            if isinstance(self.router, APIRouter) or getattr(route, "include_in_schema", True)
        ]


def unserved_routers(app: Api, code: Code) -> Iterator[Finding]:
    """A finding for each router or application of a plugin with routes that are reachable from nowhere.

    One that some code hands on, to `include_router` or to anything else, may be included under a condition, or when
    the process starts; it is as it should be. So is one whose name starts with an underscore.
    """
    served = {id(answer) for answer in _answers(app.router.routes)}
    suspects: dict[int, _Suspect] = {}
    for plugin, module in code.modules:
        for name, value in list(vars(module).items()):
            if is_a(value, (APIRouter, Starlette)):
                suspects.setdefault(id(value), _Suspect(value)).names.append((plugin, module, name))
    for suspect in suspects.values():
        answers = [id(answer) for answer in _answers(suspect.routes)]
        if answers and served.isdisjoint(answers) and not _is_meant(suspect, code, app.manager):
            yield _finding(suspect)


def _answers(routes: Iterable[BaseRoute], mounted: set[int] | None = None) -> Iterator[Any]:
    """The functions and applications that answer, also behind what is mounted, and what decorators have wrapped.

    Args:
        routes: of an application or a router.
        mounted: ids of the applications that have been looked at: one may be mounted inside itself.
    """
    mounted = set() if mounted is None else mounted
    for route in routes:
        included = router_in(route)
        if included is not None:
            yield from _answers(included.routes, mounted)
        elif isinstance(route, Mount | Host):
            application: Any = route.app
            while application is not None and id(application) not in mounted:
                mounted.add(id(application))
                yield application
                yield from _answers(getattr(application, "routes", None) or (), mounted)
                application = getattr(application, "app", None)
        else:
            endpoint = getattr(route, "endpoint", None)
            while endpoint is not None:
                yield endpoint
                endpoint = getattr(endpoint, "__wrapped__", None)


def _is_meant(suspect: _Suspect, code: Code, manager: PluginManager) -> bool:
    if all(name.startswith("_") for _, _, name in suspect.names):
        return True
    if any(
        member is suspect.router for group in manager.groups.names() for member in manager.groups.get(group).values()
    ):
        return True
    names = {name for _, _, name in suspect.names}
    homes = {id(module) for _, module, _ in suspect.names}
    own = {plugin for plugin, _, _ in suspect.names}
    return any(
        _hands_on(code.tree_of(module), names)
        for plugin, module in code.modules
        if plugin in own or any(id(value) in homes for value in vars(module).values())
    )


def _hands_on(tree: ast.Module | None, names: set[str]) -> bool:
    """Whether the code does more with one of `names` than to call its methods; it may where it is not known."""
    if tree is None:
        return True
    nodes = [node for statement in tree.body if not _is_for_a_script(statement) for node in ast.walk(statement)]
    called = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr != "routes"}
    return any(
        (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Attribute) and node.attr in names)
        for node in nodes
        if id(node) not in called and isinstance(getattr(node, "ctx", None), ast.Load)
    )


def _is_for_a_script(statement: ast.stmt) -> bool:
    """Whether it is `if __name__ == …`, where a file serves its own application when it is run by hand."""
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
    )


def _finding(suspect: _Suspect) -> Finding:
    first, *others = suspect.routes
    endpoint = getattr(first, "endpoint", None)
    home = getattr(endpoint, "__module__", "")
    plugin, module, name = next((each for each in suspect.names if each[1].__name__ == home), suspect.names[0])
    methods = ",".join(sorted(getattr(first, "methods", None) or ()))
    more = f" and {len(others)} more" if others else ""
    route = f"{methods} {getattr(first, 'path', '')}".strip()
    if isinstance(suspect.router, APIRouter):
        problem = f"has routes in '{name}' that are in no application"
        remedy = f"rename this one, or write {CONVENTION}.include_router({name})"
    else:
        problem = f"has the application '{name}', which nothing serves"
        remedy = f"make this one a get_router() of that name, or mount it: {CONVENTION}.mount('/{plugin}', {name})"
    return Finding(
        f"plugin '{plugin}' {problem}: {route}{more}",
        plugin=plugin,
        where=where_is_function(endpoint) if endpoint else str(module.__file__),
        hint=f"Only the router of the name '{CONVENTION}' at the top of a plugin is served: {remedy}",
    )
