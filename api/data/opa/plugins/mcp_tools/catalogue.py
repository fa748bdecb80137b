"""The tools of a project: of which routes and tasks there is one, and of which there cannot be one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from opa import config, get_plugin_manager, log
from opa.plugins.mcp_tools.route_table import RouteTable
from opa.plugins.mcp_tools.route_tools import DescribedRoute, RouteTool, operations
from opa.plugins.mcp_tools.tool import RESULT_TOOL, Tool, UnfitError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LONGEST_NAME = 64
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class LeftOut:
    """A route or task that has a tag, and is no tool.

    Attributes:
        made_of: what it is: `POST /photos`.
        reason: why.
    """

    made_of: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """The tools of a project.

    Attributes:
        tools: by name, in the order in which they are shown.
        left_out: what is none.
    """

    tools: Mapping[str, Tool]
    left_out: tuple[LeftOut, ...]


def catalogue_of(app: ASGIApp) -> Catalogue:
    """The tools of an application that has started. It reads the OpenAPI document: of many routes that takes seconds.

    Raises:
        OpaError: something in the application cannot be described.
    """
    making = _Making()
    making.add_routes(app)
    making.add_tasks()
    for each in making.left_out:
        log.warning("{} is not a tool for assistants: {}", each.made_of, each.reason)
    return Catalogue(making.tools, tuple(making.left_out))


class _Making:
    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.left_out: list[LeftOut] = []

    def add_routes(self, app: ASGIApp) -> None:
        api: Any = app
        document = api.openapi()
        definitions = document.get("components", {}).get("schemas", {})
        table = RouteTable(app)
        for path, method, operation in operations(document, config.MCP_TAGS):
            operation_id = str(operation.get("operationId") or f"{method}_{path}")
            route = table.of_operation(path, method)
            if route is None or route.operation_id != operation_id:
                self.left_out.append(LeftOut(f"{method} {path}", "another route answers at its path"))
                continue
            described = DescribedRoute(route, method, path, operation, definitions)
            make = partial(RouteTool, app, table, described)
            self._add(f"{method} {path}", _Named(operation_id), make, otherwise=method.lower())

    def add_tasks(self) -> None:
        manager = get_plugin_manager()
        if not manager.tasks.are_used:
            return
        names = frozenset(_tagged(manager))
        if not names:
            return
        from opa.plugins.mcp_tools.task_tools import ResultTool, TaskTool  # with Celery

        for task in sorted(names):
            self._add(f"task {task}", _Named(task), partial(TaskTool, manager, task), "task")
        self.tools[RESULT_TOOL] = ResultTool(manager, names)

    def _add(self, made_of: str, named: _Named, make: Callable[[str], Tool], otherwise: str) -> None:
        name = named.free(self.tools, otherwise)
        try:
            self.tools[name] = make(name)
        except UnfitError as error:
            self.left_out.append(LeftOut(made_of, str(error)))


class _Named:
    """The name of a tool, as far as clients take one."""

    def __init__(self, text: str) -> None:
        name = _UNFIT.sub("_", text).strip("_") or "tool"
        if len(name) > LONGEST_NAME:
            name = f"{name[: LONGEST_NAME - 9]}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self._name = name

    def free(self, taken: Mapping[str, Tool], otherwise: str) -> str:
        """It, or one like it where there is a tool of that name."""
        return next(name for name in self._names(otherwise) if name not in taken and name != RESULT_TOOL)

    def _names(self, otherwise: str) -> Iterator[str]:
        yield self._name
        yield f"{self._name[: LONGEST_NAME - len(otherwise) - 1]}_{otherwise}"
        number = 2
        while True:
            yield f"{self._name[: LONGEST_NAME - 8]}_{number}"
            number += 1


def _tagged(manager: Any) -> Iterator[str]:
    """The names of the tasks of plugins that have one of the tags."""
    tags = set(config.MCP_TAGS)
    for name in list(manager.tasks.functions()):  # shared ones are made with the first that is looked up
        task = manager.celery.tasks.get(name)
        if task is not None and not tags.isdisjoint(getattr(task, "tags", ())):
            yield name
