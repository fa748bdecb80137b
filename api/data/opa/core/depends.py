"""Components as dependencies of FastAPI routes: `redis: Annotated[Redis, Component("aioredis")]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, params

from opa.core.running import get_instance


@dataclass(frozen=True)
class ComponentDependency:
    """The dependency behind `Component(name)`."""

    name: str

    def get(self) -> Any:
        """The instance of the component.

        Raises:
            ComponentUnavailableError: it is not there; a route answers 503.
        """
        return get_instance(self.name)

    async def __call__(self) -> Any:
        """What FastAPI calls; asynchronous, so that it costs no thread."""
        return self.get()


def Component(name: str) -> Any:  # noqa: N802 - it stands where FastAPI's Depends stands
    """A dependency that gives the instance of the component `name`, in a route or in a `Setup`.

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
