"""What does not work is a page of the console, for a browser that asks for one; others get what the api answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opa import get_plugin_manager, get_request_id, log
from opa.plugins.console.showing import UNAVAILABLE, Shown

Handler = Callable[[Request], Awaitable[Response]]

TITLES = {403: "This is not for you", 404: "There is no such page", 503: "This does not answer"}
PASSED_ON = frozenset({401, 405})
"""What a browser, or another part of the api, knows what to do with."""


def wants_page(request: Request) -> bool:
    """Whether a browser asks, and a person looks at what it gets."""
    return "text/html" in request.headers.get("accept", "")


def with_error_pages(handler: Handler, shown: Shown) -> Handler:
    """The handler, whose errors are pages."""

    async def answer(request: Request) -> Response:
        if not wants_page(request):
            return await handler(request)
        try:
            return await handler(request)
        except HTTPException as error:
            status = error.status_code
            if status < 400 or status in PASSED_ON:
                raise
            title = TITLES.get(status, HTTPStatus(status).phrase)
            return await shown.error(request, status, title, str(error.detail), error.headers)
        except Exception as error:  # noqa: BLE001 - any plugin's, or of a server that is gone
            return await shown.error(request, *_told(request, error))

    return answer


async def nothing(_request: Request) -> Response:
    """Answers below the path of the console where nothing else does.

    Raises:
        HTTPException: there is no such page (404).
    """
    raise HTTPException(404, "the console has no page at this address")


def _told(request: Request, error: Exception) -> tuple[int, str, str]:
    """Status, title and text for an error that nobody has expected; the log has it."""
    names, is_known = get_plugin_manager().report_failure(error)
    if names:
        if not is_known:
            log.warning("{!r}: component {} does not answer: {!r}", request.url.path, " or ".join(names), error)
        return UNAVAILABLE, TITLES[UNAVAILABLE], f"component {' or '.join(names)} does not answer"
    log.opt(exception=error).error("{!r} of the console failed", request.url.path)
    request_id = get_request_id()
    return (
        500,
        "This page failed",
        "the log has the error" + (f", with the request id {request_id}" if request_id else ""),
    )
