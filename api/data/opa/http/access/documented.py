"""Who may use a route, in the OpenAPI document: schemes of authenticators, scopes, and what others are answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from fastapi.encoders import jsonable_encoder
from fastapi.security.base import SecurityBase

from opa.access.authenticators import authenticators
from opa.core.groups import Groups
from opa.http.access.requires import RequiredActor
from opa.http.access.rules import Rule, strictest

_TEXT: Final = {"schema": {"type": "string"}}
_CONTENT: Final = {
    "application/json": {
        "schema": {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
    }
}


def _answer(description: str, **headers: Mapping[str, Any]) -> Mapping[str, Any]:
    named = {name.replace("_", "-"): header for name, header in headers.items()}
    return {"description": description, **({"headers": named} if named else {}), "content": _CONTENT}


NOT_AUTHENTICATED: Final = _answer(
    "Who is calling is not known", WWW_Authenticate={"description": "A header for each way to be known", **_TEXT}
)
NOT_ALLOWED: Final = _answer(
    "Who is calling is not allowed to", WWW_Authenticate={"description": "The scopes that are missing", **_TEXT}
)
TOO_MANY: Final = _answer(
    "Too many wrong credentials, or requests",
    Retry_After={"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
)
UNAVAILABLE: Final = _answer("Who is calling cannot be found out now")


class SecurityOfRoutes:
    """What the document says of who may use the routes of an application.

    Args:
        rule_of: gives what the settings require of a route, by its path and endpoint.
        groups: have the authenticators.
        counts_attempts: whether too many wrong credentials are answered 429.

    Attributes:
        schemes: of the authenticators, as the document has them, by name.
        responses: to who may not use a route, by name. They stand in the document once: for each of thousands of
            routes they would be most of it.
    """

    def __init__(self, rule_of: Callable[[str, object], Rule], groups: Groups, *, counts_attempts: bool) -> None:
        self._rule_of = rule_of
        members = authenticators(groups).values()
        found = [getattr(member, "security_scheme", None) for member in members]
        self.schemes: Mapping[str, Any] = {
            scheme.scheme_name: jsonable_encoder(scheme.model, by_alias=True, exclude_none=True)
            for scheme in found
            if isinstance(scheme, SecurityBase)
        }
        answers = {401: ("NotAuthenticated", NOT_AUTHENTICATED), 403: ("NotAllowed", NOT_ALLOWED)}
        if counts_attempts:
            answers[429] = ("TooManyRequests", TOO_MANY)
        if any(getattr(member, "may_be_unavailable", False) for member in members):
            answers[503] = ("Unavailable", UNAVAILABLE)
        self.responses: Mapping[str, Any] = dict(answers.values())
        self._references = {
            str(status): {"$ref": f"#/components/responses/{name}"} for status, (name, _) in answers.items()
        }

    def add_to(self, operations: Mapping[str, Any], path: str, endpoint: object, dependant: Any) -> bool:
        """Add it to the operations of a route, which may describe an answer itself; whether they require an actor.

        Args:
            operations: by method.
            path: of the route.
            endpoint: its function.
            dependant: what FastAPI knows of its dependencies.
        """
        rule = strictest([self._rule_of(path, endpoint), *required_in(dependant)])
        if rule.is_open:
            return False
        for operation in operations.values():
            if self.schemes:
                operation.setdefault("security", []).extend({name: list(rule.scopes)} for name in self.schemes)
            for status, reference in self._references.items():
                operation["responses"].setdefault(status, reference)
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
