"""The routes of the console: its pages, and the files that they need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opa import ConsolePage, config, get_router
from opa.plugins.console import plugins_page, routes_page, settings_page, start_page
from opa.plugins.console.added import html_of, members
from opa.plugins.console.live import Streams, wants_events
from opa.plugins.console.page import READ, Context, Page
from opa.plugins.console.readers import Reader, reader_of
from opa.plugins.console.rendering import FILES, Templates, answer, digest, file

PAGES = (
    Page("", "Start", "start.html", start_page.context),
    Page("/plugins", "Plugins", "plugins.html", plugins_page.all_plugins),
    Page("/plugins/{name}", "Plugin", "plugin.html", plugins_page.one_plugin, is_in_navigation=False),
    Page("/routes", "Routes", "routes.html", routes_page.context),
    Page("/settings", "Settings", "settings.html", settings_page.context, scope=settings_page.SETTINGS),
)
_KEEP_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}

_url = config.CONSOLE_URL.rstrip("/")
_files_url = f"{_url}/files/{digest()}"
templates = Templates(_files_url)
_streams = Streams()
router = get_router(include_in_schema=False)


def _added() -> list[ConsolePage]:
    return [member for _, member in members(ConsolePage)]


def _navigation(reader: Reader, here: str) -> list[tuple[str, str, bool]]:
    """Path, title, and whether it is the page that is shown, of each page that the reader may see."""
    own = [(page.path, page.title, page.scope) for page in PAGES if page.is_in_navigation]
    added = [(f"/added/{page.path}", page.title, page.scope) for page in _added()]
    return [(path, title, path == here) for path, title, scope in (*own, *added) if reader.can(scope)]


async def _answer(request: Request, reader: Reader, page: Page, context: Callable[[], Awaitable[Context]]) -> Response:
    async def main() -> str:
        return templates.html(page.template, request, await context())

    if wants_events(request):
        return _streams.answer(main)
    here = request.url.path.removeprefix(_url).rstrip("/")
    frame = {"title": page.title, "main": await main(), "navigation": _navigation(reader, here), "actor": reader.actor}
    return answer(templates.html("frame.html", request, frame))


def _endpoint(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        reader = await reader_of(request, page.scope)
        return await _answer(request, reader, page, lambda: page.context(request, reader))

    return endpoint


async def _added_page(request: Request) -> Response:
    name = request.path_params["name"]
    found = next(((uri, page) for uri, page in members(ConsolePage) if page.path == name), None)
    if found is None:
        await reader_of(request, READ)
        raise HTTPException(404, "there is no such page")
    uri, added = found
    reader = await reader_of(request, added.scope)

    async def context() -> Context:
        return {"title": added.title, "body": await html_of(uri, added.body, request)}

    return await _answer(request, reader, Page("", added.title, "added.html", lambda *_: context()), context)


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        raise HTTPException(404)
    return Response(file(name), media_type=FILES[name], headers=_KEEP_FOR_GOOD)


for _page in PAGES:
    router.add_route(_url + _page.path or "/", _endpoint(_page), methods=["GET", "HEAD"])
router.add_route(f"{_url}/added/{{name}}", _added_page, methods=["GET", "HEAD"])
router.add_route(f"{_files_url}/{{name}}", _file, methods=["GET", "HEAD"])
