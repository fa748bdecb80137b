"""Who may use a route, in the OpenAPI document: the schemes of the authenticators, and the scopes that are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.security.base import SecurityBase

from opa.access.authenticators import authenticators
from opa.core.groups import Groups
from opa.http.access.requires import RequiredActor
from opa.http.access.rules import Rule, strictest


class SecurityOfRoutes:
    """What the document says of who may use the routes of an application.

    Args:
        rule_of: gives what the settings require of a route, by its path and endpoint.
        groups: have the authenticators.

    Attributes:
        schemes: of the authenticators, as the document has them, by name.
    """

    def __init__(self, rule_of: Callable[[str, object], Rule], groups: Groups) -> None:
        self._rule_of = rule_of
        found = [getattr(member, "security_scheme", None) for member in authenticators(groups).values()]
        self.schemes: Mapping[str, Any] = {
            scheme.scheme_name: jsonable_encoder(scheme.model, by_alias=True, exclude_none=True)
            for scheme in found
            if isinstance(scheme, SecurityBase)
        }

    def add_to(self, operations: Mapping[str, Any], path: str, endpoint: object, dependant: Any) -> bool:
        """Add it to the operations of a route; whether they require an actor.

        Args:
            operations: by method.
            path: of the route.
            endpoint: its function.
            dependant: what FastAPI knows of its dependencies.
        """
        rule = strictest([self._rule_of(path, endpoint), *required_in(dependant)])
        if rule.is_open or not self.schemes:
            return False
        for operation in operations.values():
            operation.setdefault("security", []).extend({name: list(rule.scopes)} for name in self.schemes)
        return True


def required_in(dependant: Any) -> Iterator[Rule]:
    """What each `Requires(…)` among the dependencies of a route requires."""
    for call in calls_in(dependant):
        if isinstance(call, RequiredActor):
            yield Rule(False, call.scopes)


def calls_in(dependant: Any) -> Iterator[object]:
    """What FastAPI calls for a route and for each of its dependencies; nothing where it knows none."""
    waiting = [dependant]
    while waiting:
        found = waiting.pop()
        if found is None:
            continue
        yield found.call
        waiting.extend(reversed(found.dependencies))
