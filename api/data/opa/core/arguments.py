"""Give a function of a plugin what its parameters name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from opa.core.depends import component_in
from opa.core.errors import SetupError


def arguments_for(
    function: Callable[..., Any], offers: Mapping[str, Any], what: str, *, where: str | None = None
) -> dict[str, Any]:
    """The arguments for `function`: by the names of its parameters from `offers`, or the component of an annotation.

    Args:
        function: of a plugin.
        offers: values by name.
        what: the function, for the message.
        where: `file:line`, for the message.

    Raises:
        SetupError: it asks for something that there is not, and has no default for it.
        ComponentUnavailableError: a component that it asks for is not there.
    """
    code = getattr(function, "__code__", None)
    if code is not None and not code.co_argcount + code.co_kwonlyargcount:
        return {}  # most functions of plugins, at once
    parameters = inspect.signature(function).parameters
    arguments: dict[str, Any] = {}
    hints = get_type_hints(function, include_extras=True) if hasattr(function, "__annotations__") else {}
    for parameter in parameters.values():
        if parameter.name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        component = component_in(hints.get(parameter.name))
        if component is not None:
            arguments[parameter.name] = component.get()
        elif parameter.name in offers:
            arguments[parameter.name] = offers[parameter.name]
        elif parameter.default is parameter.empty:
            raise SetupError(
                f"{what} asks for '{parameter.name}', which there is not",
                where=where,
                hint=f'Name one of {", ".join(sorted(offers))}, or annotate it with Annotated[…, Component("…")]',
            )
    return arguments
