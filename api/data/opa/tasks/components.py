"""Components in the parameters of tasks: a run gets them in its worker, and they are no part of its message."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from opa._util.sources import where_is_function
from opa.core.arguments import components_of_parameters
from opa.core.depends import ComponentDependency
from opa.core.drivers import Driver
from opa.core.per_use import given_in_thread, given_on_loop
from opa.core.per_use_misfits import is_async, misfit
from opa.errors import RegistrationError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def signature_of_message(function: Callable[..., Any]) -> inspect.Signature:
    """What a task is sent with: the parameters of its function, without those that get a component.

    Raises:
        TypeError: it has no signature.
        ValueError: the same.
    """
    signature = inspect.signature(function)
    components = components_of_parameters(function)
    if not components:
        return signature
    left = [parameter for name, parameter in signature.parameters.items() if name not in components]
    return signature.replace(parameters=left)


def with_components(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives `function` the components which its parameters name, and those of one run alone.

    It is called with the other arguments. Whoever calls the task as a function may give it a component by its name.
    Where no parameter names one, it is `function` itself.

    Raises:
        RegistrationError: one of these parameters has no name that it could be given by.
    """
    components = components_of_parameters(function)
    if not components:
        return function
    parameters = inspect.signature(function).parameters
    for name in components:
        if parameters[name].kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            raise RegistrationError(
                f"the parameter '{name}' of a task asks for the component '{components[name].name}', and is"
                f" {parameters[name].kind.description}",
                where=where_is_function(function),
                hint="Make it a parameter that can be given by its name",
            )
    positional = [name for name, parameter in parameters.items() if parameter.kind in _POSITIONAL]
    wrapper: Any

    if is_async(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            async with AsyncExitStack() as stack:
                given = await given_on_loop(_drivers(function, components, kwargs), stack)
                args = tuple(_placed(positional, components, args, kwargs, given))
                result = function(*args, **kwargs, **given)
                return await result if inspect.isawaitable(result) else result  # a decorator may have awaited it

        wrapper = run_async
    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with ExitStack() as stack:
                given = given_in_thread(_drivers(function, components, kwargs), stack)
                args = tuple(_placed(positional, components, args, kwargs, given))
                return function(*args, **kwargs, **given)

        wrapper = run
    wrapper.__signature__ = signature_of_message(function)
    made: Callable[..., Any] = wrapper
    return made


def _drivers(
    function: Callable[..., Any], components: Mapping[str, ComponentDependency], given: Mapping[str, Any]
) -> dict[str, Driver]:
    """Those of the components that the caller has not given.

    Raises:
        ComponentUnavailableError: one of them is not there.
        ComponentUseError: the function cannot use what it gives.
    """
    drivers = {name: component.driver() for name, component in components.items() if name not in given}
    for name, driver in drivers.items():
        what = f"the task '{getattr(function, '__qualname__', function)}'"
        if (error := misfit(components[name].name, driver.per_use, function, what)) is not None:
            raise error
    return drivers


def _placed(
    positional: list[str],
    components: Mapping[str, ComponentDependency],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    given: dict[str, Any],
) -> Iterator[Any]:
    """The arguments by position, with components in their places among them; these are taken out of the others."""
    left = list(args)
    for name in positional:
        if not left:
            return
        if name not in components:
            yield left.pop(0)
        else:
            yield given.pop(name) if name in given else kwargs.pop(name)
    yield from left
