"""The way to the pages: who may come in, from where, and under which policy a browser shows them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from opa import config, is_from_own_page
from opa.plugins.admin_panels.site import root_of
from opa.plugins.admin_panels.visitor import visitor_of

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from opa.plugins.admin_panels.site import Site

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN = "this must come from a page of this host"


class Serving:
    """Answers all that is below ADMIN_URL.

    Args:
        site: has the pages.
        url: the path below which they are.
        can_sign_in: whether there is anybody who could.
    """

    def __init__(self, site: Site, url: str, *, can_sign_in: bool) -> None:
        self._site = site
        self._url = url
        self._can_sign_in = can_sign_in

    def routes(self) -> Iterator[BaseRoute]:
        """That of the path itself, and that of all below it."""

        async def start(request: Request) -> Response:
            return RedirectResponse(f"{root_of(request)}{self._url}/")

        yield Route(self._url, start, methods=["GET", "HEAD"], include_in_schema=False)
        yield Mount(self._url, app=self, name="admin_panels")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            HTTPException: nobody is known, or they may see nothing (401, 403); there is no such page (404).
        """
        if scope["type"] != "http":
            raise HTTPException(404)
        scope = {**scope, **_below(scope), "state": dict(scope.get("state", {})), "router": self._site.router}
        if scope["method"] == "HEAD":
            # What is asked for is what a GET has; starlette-admin takes it for a form that is sent.
            scope["method"] = "GET"
        request = Request(scope, receive)
        answer = _Answer(send, is_file=self._is_file(scope))
        request.state.opa_nonce = answer.nonce
        if answer.is_file:
            await self._site.app(scope, receive, answer.send)
            return
        request.state.opa_visitor = await visitor_of(request, can_sign_in=self._can_sign_in)
        refused = self._refused(request)
        if refused is None:
            await self._site.app(scope, receive, answer.send)
            return
        if "text/html" not in request.headers.get("accept", ""):
            raise refused
        scope["app"] = self._site.app
        await self._site.error_page(request, refused)(scope, receive, answer.send)

    def _refused(self, request: Request) -> HTTPException | None:
        if request.method not in _SAFE and not is_from_own_page(request):
            return HTTPException(403, _FOREIGN)
        if not self._site.is_for(request):
            return HTTPException(403, "the scope admin:read, or that of a panel, such as admin:NAME:read, is missing")
        return None

    @staticmethod
    def _is_file(scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope["root_path"])
        return bool(path.startswith("/static/"))


def _below(scope: Scope) -> dict[str, str]:
    """The paths of a request so that one begins with the other, also where a proxy has taken off the beginning."""
    root, path = scope["root_path"], scope["path"]
    mounted_at = root.removeprefix(scope.get("app_root_path", ""))
    below = path.removeprefix(root if path.startswith(f"{root}/") else mounted_at)
    return {"root_path": root, "path": root + below}


class _Answer:
    """Sends an answer with the policy of a page, which nobody keeps."""

    def __init__(self, send: Send, *, is_file: bool) -> None:
        self._send = send
        self.is_file = is_file
        self.nonce = secrets.token_urlsafe(16)

    async def send(self, message: Message) -> None:
        """Send a part of it."""
        if message["type"] == "http.response.start" and not (self.is_file and message["status"] < 400):
            headers = MutableHeaders(scope=message)
            headers["Cache-Control"] = "no-store"
            headers["Vary"] = "Accept, Cookie"
            # A browser that may not tell where a form was sent from says that its origin is null.
            headers["Referrer-Policy"] = "same-origin"
            policy: Any = config.PAGES_POLICY
            if policy:
                headers["Content-Security-Policy"] = policy.replace("{scripts}", f"'nonce-{self.nonce}'")
        await self._send(message)
