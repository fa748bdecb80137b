"""Types of routes that are not there when the program runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi.dependencies.models import Dependant

from opa._util.annotations import unresolved
from opa._util.sources import where_is_function
from opa.checks.finding import Finding
from opa.checks.owners import Owners

if TYPE_CHECKING:
    from opa.http.application import Api


def unresolved_types(app: Api) -> Iterator[Finding]:
    """A finding for each: FastAPI takes such a parameter for one of the query, and cannot describe the route."""
    owners = Owners(app)
    for route, owner in owners.routes():
        dependant = getattr(route, "dependant", None)
        asked = list(_parameters(dependant)) if isinstance(dependant, Dependant) else []
        if text := unresolved(getattr(route, "response_model", None)):
            asked.append(("the result", text, getattr(route, "endpoint", None)))
        for what, text, function in asked:
            yield Finding(
                f"{what} of {owners.words_for(route, owner)} has the type {text}, which is not there when the program"
                " runs",
                plugin=owner,
                where=where_is_function(function),
                hint="Import the type at the top of the file, and not below 'if TYPE_CHECKING'; or fix its name",
            )


def _parameters(dependant: Dependant) -> Iterator[tuple[str, str, Any]]:
    asked = (dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params)
    for field in (*itertools.chain(*asked), *dependant.body_params):
        if text := unresolved(field.field_info.annotation):
            yield f"parameter '{field.name}'", text, dependant.call
    for each in dependant.dependencies:
        yield from _parameters(each)
