"""Tools that are made of routes, by what the OpenAPI document says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from opa import mask_text
from opa.introspection import RouteInfo
from opa.plugins.mcp_tools.caller import Caller
from opa.plugins.mcp_tools.calling import FAILED, Request, Response, answer_to
from opa.plugins.mcp_tools.route_table import RouteTable
from opa.plugins.mcp_tools.schemas import arguments_schema, check_names
from opa.plugins.mcp_tools.tool import Answer, Arguments, Binary, Description, Schema, ToolError, UnfitError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

METHODS = ("get", "put", "post", "delete", "patch")
BODY = "body"
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_OF_THE_CALLER = frozenset(
    {"authorization", "cookie", "forwarded", "host", "proxy-authorization", "x-api-key", "x-real-ip", "x-request-id"}
)
"""Headers that say who calls, and from where: no argument does."""
_IN_PATH = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class _Parameter:
    name: str
    place: str
    schema: Schema
    is_required: bool


@dataclass(frozen=True)
class DescribedRoute:
    """A route, and what the OpenAPI document says of it.

    Attributes:
        route: the route.
        method: of HTTP.
        path: as the document has it.
        operation: what it says of these.
        definitions: the schemas of the document.
    """

    route: RouteInfo
    method: str
    path: str
    operation: Mapping[str, Any] = field(repr=False)
    definitions: Mapping[str, Schema] = field(repr=False)


class RouteTool:
    """A route as a tool.

    Args:
        app: the application.
        table: its routes.
        described: the route.
        name: of the tool.

    Raises:
        UnfitError: it can be none.
    """

    def __init__(self, app: ASGIApp, table: RouteTable, described: DescribedRoute, name: str) -> None:
        self._app, self._table, self._route = app, table, described.route
        self._method, self._path = described.method, described.path
        operation, method = described.operation, described.method
        self._parameters: dict[str, _Parameter] = {}
        properties: dict[str, Schema] = {}
        required: list[str] = []
        self._body_type = _body_type(operation)
        if self._body_type:
            body = operation["requestBody"]
            properties[BODY] = body["content"][self._body_type].get("schema", {})
            if body.get("required"):
                required.append(BODY)
        for parameter in _parameters(operation):
            taken = parameter.name in properties
            argument = f"{parameter.place}_{parameter.name}" if taken else parameter.name
            self._parameters[argument] = parameter
            properties[argument] = parameter.schema
            if parameter.is_required:
                required.append(argument)
        self.description = Description(
            name=name,
            text=_text_of(operation),
            arguments=arguments_schema(properties, required, described.definitions),
            made_of=f"{method} {described.path}",
            reads_only=method == "GET",
            destroys=method in ("DELETE", "PUT"),
            may_be_repeated=method in ("GET", "PUT", "DELETE"),
        )

    async def call(self, arguments: Arguments, caller: Caller) -> Answer:
        """Send the request.

        Raises:
            ToolError: the arguments are wrong, or the route answers with an error.
        """
        check_names(arguments, self.description.arguments)
        return _answer(await answer_to(self._app, self._request(arguments, caller), caller))

    def _request(self, arguments: Arguments, caller: Caller) -> Request:
        segments: dict[str, str] = {}
        query, headers = [], [(b"accept", b"application/json, */*;q=0.5")]
        of_caller = {name for name, _ in caller.headers}
        for name, parameter in self._parameters.items():
            value = arguments.get(name)
            if parameter.place == "path":
                segments[parameter.name] = _segment(name, value)
            elif parameter.place == "query":
                query += [(parameter.name, each) for each in _texts(name, value)]
            else:
                key = parameter.name.lower().encode()
                if key not in of_caller:
                    headers += [(key, _header(name, each)) for each in _texts(name, value)]
        # All at once: an argument may look like the place of another one.
        path = _IN_PATH.sub(lambda place: segments.get(place[1], place[0]), self._path)
        if not self._table.leads_to(self._route, path, self._method):
            raise ToolError(f"the arguments lead to another route than {self.description.made_of}")
        body = b""
        if self._body_type and BODY in arguments:
            body = _encoded(arguments[BODY], self._body_type)
            headers.append((b"content-type", self._body_type.encode()))
        return Request(self._method, path, urlencode(query).encode(), tuple(headers), body)


def operations(document: Mapping[str, Any], tags: Collection[str]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Path, method and operation of each route that has one of the tags."""
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            operation = item.get(method)
            if operation is not None and not set(tags).isdisjoint(map(str, operation.get("tags", ()))):
                yield path, method.upper(), operation


def _text_of(operation: Mapping[str, Any]) -> str:
    return str(operation.get("description") or operation.get("summary") or "").strip()


def _body_type(operation: Mapping[str, Any]) -> str:
    """The media type in which a body is sent; empty without one."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return ""
    fit = next((each for each in content if each == _JSON or each.endswith("+json")), None)
    if fit is None and _FORM in content:
        fit = _FORM
    if fit is None:
        raise UnfitError(f"its body is {' or '.join(content)}, and neither JSON nor a form without files")
    return str(fit)


def _parameters(operation: Mapping[str, Any]) -> Iterator[_Parameter]:
    """Each parameter that can be an argument."""
    for given in operation.get("parameters", ()):
        name, place, is_required = given["name"], given["in"], bool(given.get("required"))
        if place == "cookie" or (place == "header" and _is_of_caller(name)):
            if is_required and place == "cookie":
                raise UnfitError(f"it needs the cookie {name}")
            continue
        description = {"description": given["description"]} if "description" in given else {}
        yield _Parameter(name, place, {**given.get("schema", {}), **description}, is_required)


def _is_of_caller(header: str) -> bool:
    name = header.lower()
    return name in _OF_THE_CALLER or name.startswith("x-forwarded-")


def _segment(name: str, value: Any) -> str:
    text = _text(name, value)
    if text in ("", ".", "..") or "\n" in text or "\0" in text:
        raise ToolError(f"{name}: {text!r} can stand in no path")
    return text


def _texts(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    return [_text(name, each) for each in value] if isinstance(value, list) else [_text(name, value)]


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ToolError(f"{name}: is neither a text nor a number")
    return _encodable(name, str(value))


def _encodable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ToolError(f"{name}: has half a character, which no request can have") from None
    return text


def _header(name: str, text: str) -> bytes:
    if not (text.isascii() and text.isprintable()):
        raise ToolError(f"{name}: is a header, which is one line of ASCII")
    return text.encode()


def _encoded(body: Any, media_type: str) -> bytes:
    if media_type != _FORM:
        return json.dumps(body).encode()
    if not isinstance(body, dict):
        raise ToolError(f"{BODY}: is not an object")
    return urlencode([(key, text) for key, value in body.items() for text in _texts(key, value)]).encode()


def _answer(response: Response) -> Answer:
    """What a route has answered.

    Raises:
        ToolError: with an error, or a redirect.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    value: Any = None
    is_json = media_type == _JSON or media_type.endswith("+json")
    if is_json:
        try:
            value = json.loads(response.body)
        except ValueError:
            is_json = False
    if response.status >= 300:
        raise ToolError(mask_text(_problem(response, value)))
    if not response.body:
        return Answer(f"done ({response.status})")
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        return Answer(Binary(media_type or "application/octet-stream", response.body))
    if not is_json and media_type.startswith(("image/", "audio/")):
        return Answer(Binary(media_type, response.body))
    return Answer(text, value if isinstance(value, dict) else None)


def _problem(response: Response, value: Any) -> str:
    detail = value.get("detail", value) if isinstance(value, dict) else value
    head = f"status {response.status}"
    if response.status < 400:
        return f"{head}: the answer is at another address, {response.headers.get('location', 'which it does not say')}"
    if response.status == 422 and isinstance(detail, list):
        return f"{head}: the arguments are wrong\n" + "\n".join(map(_validation, detail[:20]))
    if response.status >= 500 and value is None:
        return f"{head}: {FAILED}" if response.status == 500 else head
    again = response.headers.get("retry-after")
    text = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False) if detail is not None else ""
    if value is None:
        text = response.body[:1000].decode("utf-8", "replace")
    return f"{head}: {text[:5000]}" + (f" (again after {again} s)" if again else "")


def _validation(error: Any) -> str:
    """A line about one argument; without what was given, which may be long, or secret."""
    if not isinstance(error, dict):
        return str(error)[:300]
    place = [str(part) for part in error.get("loc", ())]
    name = ".".join(place[1:] if place[:1] in (["query"], ["path"], ["header"]) else place)
    return f"{name}: {str(error.get('msg', ''))[:300]}"
