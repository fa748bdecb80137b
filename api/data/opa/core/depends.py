"""Components as dependencies of FastAPI routes: `redis: Annotated[Redis, Component("aioredis")]`."""

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import fastapi
from fastapi import Depends, params
from starlette.requests import HTTPConnection

from opa._compat.fastapi.exit_stacks import function_stack
from opa.core.component_use import note_given
from opa.core.drivers import Driver
from opa.core.per_use import OneUse
from opa.core.running import get_component, usable_in_loop
from opa.errors import ComponentUseError

_USES = "opa.uses"
"""Of the scope of a request, in which what components have given for it stands."""


@dataclass(frozen=True)
class ComponentDependency:
    """The dependency behind `Component(name)`."""

    name: str

    def driver(self) -> Driver:
        """That of the component.

        Raises:
            ComponentUnavailableError: it is not there.
        """
        return get_component(self.name)

    # FastAPI reads the annotation, of an object that is called, as it stands: this module has none that are texts.
    async def __call__(self, connection: HTTPConnection) -> Any:
        """What FastAPI calls; asynchronous, so that it costs no thread."""
        driver = get_component(self.name)
        if driver.per_use is not None:
            return await _uses_of(connection).give(driver)
        instance = (await usable_in_loop(driver)).get_instance()
        if not driver.guards_client:
            note_given(driver.breaker)
        return instance


def _uses_of(connection: HTTPConnection) -> OneUse:
    """What was given for a request; it ends when the function of the route has returned, before the answer is sent.

    Raises:
        ComponentUseError: FastAPI is one that does not say when that is.
    """
    scope = connection.scope
    stack = function_stack(scope)
    if stack is None:
        raise ComponentUseError(
            f"FastAPI {fastapi.__version__} does not say when the function of a route has returned: what a component"
            " gives to each request cannot be ended before the answer is sent",
            hint="Use a version that opa-stack is tested with, or begin and end it in the route: get_instance(…)",
        )
    uses: OneUse | None = scope.get(_USES)
    if uses is None or uses.stack is not stack:
        uses = scope[_USES] = OneUse(stack)
    return uses


def Component(name: str) -> Any:  # noqa: N802 - it stands where FastAPI's Depends stands
    """A dependency that gives the instance of the component `name`, in a route, a task or a `Setup`.

    Where its driver gives something to each use, such as a session to each request, it is that.

    Use it as `redis: Annotated[Redis, Component("aioredis")]` or `redis: Redis = Component("aioredis")`. A route whose
    component is not there answers 503 with the reason.
    """
    return Depends(ComponentDependency(name))


def component_in(annotation: Any) -> ComponentDependency | None:
    """The component that an `Annotated` type names, if it does."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if component := component_of(extra):
                return component
    return None


def component_of(marker: Any) -> ComponentDependency | None:
    """The component that stands behind what `Component(…)` gives; none behind anything else."""
    if isinstance(marker, params.Depends) and isinstance(marker.dependency, ComponentDependency):
        return marker.dependency
    return None
