"""Components in the parameters of routes and of their dependencies: whether these can use what they get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fastapi.dependencies.models import Dependant
from starlette.routing import BaseRoute

from opa._compat.fastapi.inclusion import router_in
from opa._util.sources import where_is_function
from opa.core.depends import ComponentDependency
from opa.core.per_use_misfits import is_generator, misfit
from opa.errors import ComponentUseError

if TYPE_CHECKING:
    from opa.core.component_states import ComponentState


def component_misfits(
    routes: Iterable[BaseRoute], states: Mapping[str, ComponentState], seen: frozenset[int] = frozenset()
) -> Iterator[ComponentUseError]:
    """An error for each route that cannot use what one of its components gives to each request.

    Args:
        routes: of a router.
        states: the components that are configured.
        seen: the ids of the routers around it: one may be in itself.
    """
    for route in routes:
        dependant = getattr(route, "dependant", None)
        if isinstance(dependant, Dependant):
            if dependant.dependencies:
                yield from _misfits(dependant, states, f"the route '{getattr(route, 'path', '')}'")
        elif (router := router_in(route)) is not None and id(router) not in seen:
            yield from component_misfits(router.routes, states, seen | {id(router)})


def _misfits(
    dependant: Dependant, states: Mapping[str, ComponentState], what: str, *, is_endpoint: bool = True
) -> Iterator[ComponentUseError]:
    for each in dependant.dependencies:
        component = each.call
        if not isinstance(component, ComponentDependency):
            if each.dependencies:
                name = getattr(component, "__name__", repr(component))
                yield from _misfits(each, states, f"the dependency '{name}' of {what}", is_endpoint=False)
            continue
        state = states.get(component.name.lower())
        driver = None if state is None else state.driver
        function: Callable[..., Any] | None = dependant.call
        if driver is None or driver.per_use is None or function is None or each.name is None:
            continue
        if is_endpoint and is_generator(function):
            yield ComponentUseError(
                f"{what} yields what it answers, and asks for the component '{component.name}', whose driver gives"
                " something to each request: that ends before the answer begins",
                where=where_is_function(function),
                hint=f"Begin and end it in the route, by get_instance('{component.name}')",
            )
        elif (error := misfit(component.name, driver.per_use, function, what)) is not None:
            yield error
