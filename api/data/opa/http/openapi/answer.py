"""Answer requests for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opa.http.openapi.cache import DocumentKeeper
from opa.http.openapi.problems import OpenApiError


def answers_with(keeper: DocumentKeeper) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a route that answers with the document that `keeper` has."""

    async def openapi(request: Request) -> Response:
        try:
            document = await keeper.document(str(request.scope.get("root_path", "")).rstrip("/"))
        except OpenApiError as error:
            raise HTTPException(500, error.problem) from error
        # A browser keeps it, and asks each time whether it is still the one.
        headers = {"ETag": document.etag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
        if _has(_field(request, "if-none-match"), document.etag):
            return Response(status_code=304, headers=headers)
        if _accepts_gzip(_field(request, "accept-encoding")):
            headers["Content-Encoding"] = "gzip"
            return Response(bytes(document.compressed), media_type="application/json", headers=headers)
        return Response(bytes(document.body), media_type="application/json", headers=headers)

    return openapi


def _field(request: Request, name: str) -> str:
    """The value of a header, which may stand in several lines (RFC 9110, 5.3)."""
    return ",".join(request.headers.getlist(name))


def _has(if_none_match: str, etag: str) -> bool:
    """Whether a client has what the tag names (RFC 9110, 13.1.2: weak comparison)."""
    tags = [tag.strip() for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether `gzip` is named and not excluded by the quality 0 (RFC 9110, 12.5.3)."""
    for coding in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in coding.split(";"))
        if name == "gzip":
            return not any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
    return False
