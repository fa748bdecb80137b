"""A page around what its template makes, and the same page again whenever it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opa import ComponentUnavailableError, ConsolePage, config
from opa.plugins.console import documentation
from opa.plugins.console.added import members
from opa.plugins.console.live import Streams, wants_events
from opa.plugins.console.page import READ, Context, Page
from opa.plugins.console.readers import Reader, reader_of
from opa.plugins.console.rendering import Templates, answer

UNAVAILABLE = 503


class Shown:
    """Shows pages.

    Args:
        pages: those that the navigation may have.
        templates: of which they are made.
    """

    def __init__(self, pages: Iterable[Page], templates: Templates) -> None:
        self._pages = tuple(page for page in pages if page.is_in_navigation)
        self._templates = templates
        self._streams = Streams()

    async def page(
        self,
        request: Request,
        reader: Reader,
        page: Page,
        context: Callable[[], Awaitable[Context]],
        problem: str = "",
    ) -> Response:
        """The answer with a page, or with the events of it.

        Args:
            request: which is answered.
            reader: for whom.
            page: is shown.
            context: gives what its template needs.
            problem: what could not be done; empty if nothing was to be done.
        """
        status = 400 if problem else 200

        async def main() -> str:
            nonlocal status
            try:
                return self._templates.html(page.template, request, await context())
            except ComponentUnavailableError as error:
                status = UNAVAILABLE
                return self._templates.html("problem.html", request, {"title": page.title, "problem": str(error)})

        if page.is_live and not problem and wants_events(request):
            return await self._streams.answer(main)
        frame = {
            "title": page.title,
            "main": await main(),
            "problem": problem,
            "is_live": page.is_live and not problem,
            "navigation": self._navigation(reader, request),
            "actor": reader.actor,
        }
        return answer(self._templates.html("frame.html", request, frame), status)

    async def error(
        self, request: Request, status: int, title: str, text: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """The answer with a page that says what does not work.

        Args:
            request: which is answered.
            status: of the answer.
            title: in a few words.
            text: why, without a full stop.
            headers: more of the answer.
        """
        try:
            reader: Reader | None = await reader_of(request, READ)
        except HTTPException:  # nobody knows them, so they are told no more
            reader = None
        context = {"status": status, "title": title, "text": text}
        frame = {
            "title": title,
            "main": self._templates.html("error.html", request, context),
            "problem": "",
            "is_live": False,
            "navigation": [] if reader is None else self._navigation(reader, request),
            "actor": None if reader is None else reader.actor,
        }
        response = answer(self._templates.html("frame.html", request, frame), status)
        response.headers.update(headers or {})
        return response

    def _navigation(self, reader: Reader, request: Request) -> list[tuple[str, str, bool]]:
        """Path, title, and whether it is the page that is shown, of each page that the reader may see."""
        here = request.url.path.removeprefix(config.CONSOLE_URL.rstrip("/")).rstrip("/")
        own = [(page.path, page.title, page.scope) for page in self._pages if page.is_of_use()]
        added = [(f"/added/{page.path}", page.title, page.scope) for _, page in members(ConsolePage)]
        last = [(documentation.PATH, "Documentation", READ)] if documentation.is_installed() else []
        return [(path, title, path == here) for path, title, scope in (*own, *added, *last) if reader.can(scope)]
