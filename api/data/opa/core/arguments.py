"""Give a function of a plugin what its parameters name."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from fastapi import params

from opa._util.annotations import hints_of
from opa.core.depends import ComponentDependency, component_in, component_of
from opa.core.per_use import OneUse
from opa.core.per_use_misfits import misfit
from opa.errors import SetupError

INJECTABLE: Final = ("app", "pm", "plugin_manager", "config")
"""What a setup and a step of a plugin can name; `app` only where there is one."""


class Parameter(NamedTuple):
    """What a function of a plugin asks for.

    Attributes:
        name: its name.
        component: the component that it names, in its annotation or as its default, as in a route.
        is_required: whether the function cannot be called without it.
    """

    name: str
    component: ComponentDependency | None
    is_required: bool


def parameters_of(function: Callable[..., Any]) -> Iterator[Parameter]:
    """What `function` asks for.

    Raises:
        Exception: an annotation cannot be read.
    """
    if has_no_parameters(function):
        return  # most functions of plugins, at once
    hints = hints_of(function) if hasattr(function, "__annotations__") else {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = parameter.default
        yield Parameter(
            parameter.name,
            component_in(hints.get(parameter.name)) or component_of(default),
            # A `Depends` would do nothing here, and be handed over as it is.
            is_required=default is parameter.empty or isinstance(default, params.Depends),
        )


def components_of_parameters(function: Callable[..., Any]) -> dict[str, ComponentDependency]:
    """The components that the parameters of `function` name, by the parameter.

    Those in annotations that cannot be read are left out.
    """
    if has_no_parameters(function):
        return {}
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    hints = {name: parameter.annotation for name, parameter in parameters.items()}
    # Most are of plain types, and to resolve texts takes longer than all else here.
    if any(isinstance(hint, str) and not hasattr(builtins, hint) for hint in hints.values()):
        with suppress(Exception):  # they are code
            hints |= hints_of(function)
    found = {name: component_of(each.default) or component_in(hints[name]) for name, each in parameters.items()}
    return {name: component for name, component in found.items() if component is not None}


@asynccontextmanager
async def arguments_for(
    function: Callable[..., Any], injectables: Mapping[str, Any], what: str, *, where: str | None = None
) -> AsyncIterator[dict[str, Any]]:
    """The arguments for `function`: by the names of its parameters from `injectables`, or the components named there.

    The function is called in the block, with which ends what components have given for this one call.

    Args:
        function: of a plugin.
        injectables: values by name.
        what: the function, for the message.
        where: `file:line`, for the message.

    Raises:
        SetupError: it asks for something unknown, and has no default for it.
        ComponentUnavailableError: a component that it asks for is not there.
        ComponentUseError: it cannot use what the component gives.
    """
    arguments: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        use = OneUse(stack)
        for parameter in parameters_of(function):
            if parameter.component is not None:
                arguments[parameter.name] = await _given(parameter.component, use, function, what)
            elif parameter.name in injectables:
                arguments[parameter.name] = injectables[parameter.name]
            elif parameter.is_required:
                raise not_injectable(parameter.name, injectables, what, where=where)
        yield arguments


async def _given(component: ComponentDependency, use: OneUse, function: Callable[..., Any], what: str) -> Any:
    driver = component.driver()
    if (error := misfit(component.name, driver.per_use, function, what)) is not None:
        raise error
    return await use.give(driver)


def not_injectable(
    name: str, injectables: Collection[str], what: str, *, where: str | None = None, plugin: str | None = None
) -> SetupError:
    """The error for a parameter that nothing fits."""
    return SetupError(
        f"{what} asks for '{name}', which is not injectable",
        plugin=plugin,
        where=where,
        hint=f'Name one of {", ".join(sorted(injectables))}, or annotate it with Annotated[…, Component("…")]',
    )


def has_no_parameters(function: Callable[..., Any]) -> bool:
    """Whether that can be seen at once: Python takes its time, and memory, to read a signature."""
    if function is object.__init__:
        return True  # to read its signature, Python copies sys.modules: in a fork, a page of memory for each module
    code = getattr(function, "__code__", None)
    return code is not None and not code.co_argcount + code.co_kwonlyargcount
