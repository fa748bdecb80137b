"""The functions of a plugin's commands, as Typer takes them: without components, and none of them asynchronous."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from functools import update_wrapper
from typing import Any

import typer

from opa._util.annotations import hints_of
from opa.cli.command_session import CommandSession
from opa.core.depends import component_in, component_of


def in_session(application: typer.Typer, session: CommandSession) -> typer.Typer:
    """A copy of `application`, whose functions run in `session`."""
    copied = copy(application)
    copied.info = _with_callback(application.info, session)
    copied.registered_commands = [_with_callback(each, session) for each in application.registered_commands]
    copied.registered_groups = [_with_callback(each, session) for each in application.registered_groups]
    for group in copied.registered_groups:
        if group.typer_instance is not None:
            group.typer_instance = in_session(group.typer_instance, session)
    if application.registered_callback is not None:
        copied.registered_callback = _with_callback(application.registered_callback, session)
    return copied


def _with_callback(info: Any, session: CommandSession) -> Any:
    copied = copy(info)
    if callable(info.callback):
        copied.callback = _for_typer(info.callback, session)
    if callable(getattr(info, "result_callback", None)):
        copied.result_callback = _for_typer(info.result_callback, session)
    return copied


def _for_typer(function: Callable[..., Any], session: CommandSession) -> Callable[..., Any]:
    signature = inspect.signature(function)
    hints = hints_of(function)
    components: dict[str, str] = {}
    for name, parameter in signature.parameters.items():
        if found := component_of(parameter.default) or component_in(hints.get(name)):
            components[name] = found.name

    def call(*results: Any, **arguments: Any) -> Any:
        return session.call(function, components, *results, **arguments)

    update_wrapper(call, function)
    del call.__wrapped__  # type: ignore[attr-defined] # where Typer would find the components again
    left = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in signature.parameters.items()
        if name not in components
    ]
    call.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in left}
    return call
