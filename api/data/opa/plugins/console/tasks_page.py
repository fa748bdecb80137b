"""The page of all tasks, and of one, from which it can be sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import get_plugin_manager
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader
from opa.plugins.console.runs_page import ACT, are_recorded
from opa.plugins.console.task_form import Field, fields_of


def functions() -> dict[str, Callable[..., Any]]:
    """The functions of the tasks of plugins, by the names of the tasks."""
    tasks = get_plugin_manager().tasks.functions()
    return {name: tasks[name] for name in sorted(tasks) if not tasks[name].__module__.startswith(("celery.", "opa."))}


def fields_of_task(name: str) -> list[Field]:
    """A field for each argument that a task is sent with: a component is none of them."""
    celery = get_plugin_manager().celery
    signature = celery.signature_of(name)
    return [] if signature is None else fields_of(signature.parameters.values(), celery.annotations_of(name))


async def all_tasks(_request: Request, _reader: Reader) -> Context:
    """What the template of all tasks needs."""
    manager = get_plugin_manager()
    rows = [
        (name, manager.plugin_of_module(function.__module__) or "", (function.__doc__ or "").strip().partition("\n")[0])
        for name, function in functions().items()
    ]
    return {"tasks": rows, "are_recorded": are_recorded()}


async def one_task(request: Request, reader: Reader) -> Context:
    """What the template of one task needs.

    Raises:
        HTTPException: there is no such task (404).
    """
    name = request.path_params["name"]
    function = functions().get(name)
    if function is None:
        raise HTTPException(404, "there is no such task")
    return {
        "name": name,
        "plugin": get_plugin_manager().plugin_of_module(function.__module__) or "",
        "text": (function.__doc__ or "").strip(),
        "fields": fields_of_task(name),
        "entered": request.scope.get("opa.console.entered", {}),
        "may_act": reader.can(ACT),
        "are_recorded": are_recorded(),
    }
