"""Give a function of a plugin what its parameters name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
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
    if _has_no_parameters(function):
        return {}  # most functions of plugins, at once
    parameters = inspect.signature(function).parameters
    arguments: dict[str, Any] = {}
    hints = _hints(function)
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


def components_of(function: Callable[..., Any]) -> Iterator[str]:
    """The names of the components that the parameters of `function` are annotated with.

    Raises:
        NameError: an annotation names what there is not.
    """
    if _has_no_parameters(function):
        return
    hints = _hints(function)
    for parameter in inspect.signature(function).parameters:
        component = component_in(hints.get(parameter))
        if component is not None:
            yield component.name


def _has_no_parameters(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and not code.co_argcount + code.co_kwonlyargcount


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True) if hasattr(function, "__annotations__") else {}
