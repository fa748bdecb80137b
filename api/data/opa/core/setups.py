"""Setup classes: run once in each serving process, after the components are connected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

from opa.core.depends import ComponentDependency, component_in
from opa.core.errors import OpaError, SetupError
from opa.core.hooks import BasePlugin

if TYPE_CHECKING:
    from fastapi import FastAPI

    from opa.core.manager import PluginManager


class Setup(BasePlugin):
    """Runs once when the process starts. Subclass it, and name in `__init__` what you need.

    Parameters that can be named: `app` (the FastAPI application), `pm` or `plugin_manager`, `config`, and any
    name whose annotation is `Annotated[…, Component("…")]`. A second step may stand in `run`, with parameters of
    the same names; `run` may be `async def`, and so may `__init__`.
    """


async def run_setups(setups: Sequence[type[Setup]], manager: PluginManager, app: FastAPI | None) -> None:
    """Instantiate each setup, in load order; where there is no `app`, those that need it are left out.

    Raises:
        SetupError: a setup asks for something that there is not, or raised.
    """
    offers: dict[str, Any] = {"pm": manager, "plugin_manager": manager, "config": manager.config}
    if app is not None:
        offers["app"] = app
    for setup in setups:
        if app is None and _asks_for("app", setup):
            continue
        manager.status[f"{setup.__module__}.{setup.__name__}"]["init"] = await _run(setup, offers)


def _asks_for(name: str, setup: type[Setup]) -> bool:
    return any(
        name in inspect.signature(function).parameters
        for function in (setup.__init__, getattr(setup, "run", None))
        if function is not None
    )


async def _run(setup: type[Setup], offers: Mapping[str, Any]) -> Setup:
    from opa.core.register import where_is

    name = f"setup {setup.__name__} of plugin '{setup.__module__.partition('.')[0]}'"
    try:
        instance = setup.__new__(setup)
        # Called by hand and not through the class, since the class would refuse what an `async def __init__` gives.
        await _maybe(setup.__init__(instance, **_arguments(setup.__init__, offers, name, where_is(setup))))
        if run := getattr(instance, "run", None):
            await _maybe(run(**_arguments(run, offers, name, where_is(setup))))
    except SetupError:
        raise
    except Exception as error:
        cause = str(error) if isinstance(error, OpaError) else f"{type(error).__name__}: {error}"
        raise SetupError(f"{name} failed: {cause}", where=where_is(setup), hint="Mend the setup") from error
    return instance


async def _maybe(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def _arguments(function: Callable[..., Any], offers: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    hints = get_type_hints(function, include_extras=True) if hasattr(function, "__annotations__") else {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        component: ComponentDependency | None = component_in(hints.get(parameter.name))
        if component is not None:
            arguments[parameter.name] = component.get()
        elif parameter.name in offers:
            arguments[parameter.name] = offers[parameter.name]
        elif parameter.default is parameter.empty:
            raise SetupError(
                f"{name} asks for '{parameter.name}', which there is not",
                where=where,
                hint=f'Name one of {", ".join(sorted(offers))}, or annotate it with Annotated[…, Component("…")]',
            )
    return arguments
