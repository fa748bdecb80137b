"""The pages of the admin: starlette-admin with the views of the panels, our templates, and our sign-in."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from inspect import isawaitable, iscoroutinefunction
from typing import Any, cast

from jinja2 import BaseLoader
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL, URLPath
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Router
from starlette.templating import Jinja2Templates
from starlette_admin import BaseAdmin, CustomView
from starlette_admin.auth import AdminUser, BaseAuthProvider
from starlette_admin.helpers import list_url
from starlette_admin.routing import route
from starlette_admin.views import BaseModelView

from opa import ComponentUnavailableError, config, get_plugin_manager, get_request_id, log
from opa.admin import SQL, AdminPage
from opa.plugins.admin_panels.panel_view import PanelView, call_what_is_done, refuse_nonsense
from opa.plugins.admin_panels.templates import FILES, TEMPLATES, Exchanged
from opa.plugins.admin_panels.visitor import current_visitor

ROUTE_NAME = "admin"
_TITLES = {
    403: "This is not for you",
    404: "There is no such page",
    503: "This does not answer",
    500: "This page failed",
}


class Site:
    """The pages.

    Args:
        url: the path below which they are.
        views: of the panels.
        pages: of plugins.

    Attributes:
        app: answers what is below the path.
        router: knows the paths of all pages.
    """

    def __init__(self, url: str, views: Sequence[BaseModelView], pages: Sequence[AdminPage]) -> None:
        added = [_AddedPage(page) for page in pages]
        self.entries: list[PanelView | _AddedPage] = [*(cast("PanelView", view) for view in views), *added]
        self._admin = BaseAdmin(
            title=f"{config.PROJECT_NAME} admin",
            base_url=url,
            route_name=ROUTE_NAME,
            # By default it would be templates/ of the project, whose base.html is no page of ours.
            templates_dir=str(TEMPLATES),
            static_dir=str(FILES),
            index_view=_Start(self.entries),
            auth_provider=_SignedIn(),
            secret_key=_cookie_key(),
            middlewares=[Middleware(BaseHTTPMiddleware, dispatch=self._in_session)],
            timezone_config=None,
        )
        for entry in self.entries:
            self._admin.add_view(entry)
        environment = self._admin.templates.env
        environment.loader = Exchanged(cast("BaseLoader", environment.loader))
        environment.globals.update(
            list_url=_list_path,
            opa_settings=config,
            opa_root=root_of,
            opa_option=lambda key: f"<span>{escape(str(key))!s}</span>",
            opa_title=lambda status: title_of(int(status)),
        )
        self._admin.mount_to(Starlette())
        self.app = self._admin.app
        self.router = _Paths(routes=[Mount(url, app=self.app, name=ROUTE_NAME)])

    def is_for(self, request: Request) -> bool:
        """Whether there is anything for who sends the request."""
        return any(entry.is_accessible(request) for entry in self.entries)

    def error_page(self, request: Request, error: HTTPException) -> Response:
        """The answer with a page that says what does not work."""
        return self._admin.templates.TemplateResponse(
            request, "error.html", {"exc": error}, error.status_code, dict(error.headers or {})
        )

    async def _in_session(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Give the views of SQL a session, and commit before the answer is sent."""
        try:
            await refuse_nonsense(request)
            view = self._view_of(request)
            if view is not None:
                view.refuse_stranger(request)
            if view is None or view.panel.kind != SQL:
                response = await call_next(request)
                if response.status_code < 400:
                    call_what_is_done(request)
                return response
            from opa.plugins.admin_panels.sql.session import in_session

            return await in_session(request, view.panel, lambda: call_next(request))
        except Exception as error:  # noqa: BLE001 - also of a commit
            failure = error if isinstance(error, HTTPException) else told(request, error)
            return self.error_page(request, failure)

    def _view_of(self, request: Request) -> PanelView | None:
        path = request.scope["path"].removeprefix(request.scope["root_path"]).strip("/").split("/")
        name = path[1] if path[0] == "_api" and len(path) > 1 else path[0]
        found = (entry for entry in self.entries if isinstance(entry, PanelView) and entry.panel.name == name)
        return next(found, None)


class _Start(CustomView):
    """The start page: what there is for the visitor."""

    def __init__(self, entries: Sequence[Any]) -> None:
        super().__init__(menu_label="", path="/", route_name="index", add_to_menu=False)
        self._entries = entries

    @route("", methods=["GET"])
    async def index(self, request: Request) -> Response:
        """Show it."""
        entries = [entry for entry in self._entries if entry.is_accessible(request)]
        return _rendered(self, request, "opa_start.html", {"entries": entries})


class _AddedPage(CustomView):
    """A page of a plugin."""

    def __init__(self, page: AdminPage) -> None:
        super().__init__(
            menu_label=page.title,
            icon=page.icon or "fa-regular fa-file-lines",
            path=f"/{page.name}",
            route_name=f"page-{page.name}",
        )
        self._page = page

    def is_accessible(self, request: Request) -> bool:
        """Whether the visitor may see it."""
        return current_visitor(request).can_see(self._page)

    @route("", methods=["GET"])
    async def index(self, request: Request) -> Response:
        """Show it."""
        page = self._page
        body = page.body
        given: Any = await body(request) if iscoroutinefunction(body) else await run_in_threadpool(body, request)
        if isawaitable(given):
            given = await given
        if isinstance(given, Response):
            return given
        if not isinstance(given, str):
            raise TypeError(f"the page '{page.title}' of the admin ({page.where}) gave {type(given).__name__}, no text")
        context = {"title": page.title, "body": Markup(given)}  # noqa: S704 - it escapes what is not its own
        return _rendered(self, request, "opa_page.html", context)


def _rendered(view: CustomView, request: Request, template: str, context: dict[str, Any]) -> Response:
    templates = cast("Jinja2Templates", view.templates)  # None before it is part of the admin
    return templates.TemplateResponse(request, template, context)


class _SignedIn(BaseAuthProvider):
    """Tells starlette-admin who is signed in: `serving` has asked already, and lets nobody else come so far."""

    async def authenticate(self, request: Request) -> AdminUser | None:
        """Who it is; nobody, for a file that everyone may have."""
        if getattr(request.state, "opa_visitor", None) is None:
            return None
        return AdminUser(username=current_visitor(request).name)


class _Paths(Router):
    """Gives the paths of pages without a scheme and a host, which a proxy may have hidden."""

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of a page."""
        return _Path(str(super().url_path_for(name, **path_params)))


class _Path(URLPath):
    def make_absolute_url(self, base_url: str | URL) -> URL:
        """The path below that of the application."""
        return URL(URL(str(base_url)).path.rstrip("/") + str(self))


def told(request: Request, error: Exception) -> HTTPException:
    """What to say of an error that nobody has expected; the log has it."""
    names, is_known = get_plugin_manager().report_failure(error)
    if names:
        components = " or ".join(names)
        if not is_known:
            log.warning("{!r}: component {} does not answer: {!r}", request.url.path, components, error)
        return HTTPException(503, f"component {components} does not answer")
    if isinstance(error, ComponentUnavailableError):
        return HTTPException(503, str(error))
    log.opt(exception=error).error("{!r} of the admin failed", request.url.path)
    request_id = get_request_id()
    return HTTPException(500, "the log has the error" + (f", with the request id {request_id}" if request_id else ""))


def title_of(status: int) -> str:
    """What to call an error."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def root_of(request: Request) -> str:
    """The path under which a proxy serves the application; empty for none."""
    return request.base_url.path.rstrip("/")


def _list_path(request: Request, **overrides: Any) -> str:
    url = URL(list_url(request, **overrides))
    return f"{url.path}?{url.query}"


def _cookie_key() -> str:
    """What signs the cookies of the pages: each process of an api has the same.

    They hold a message, and what a form has to repeat. Without SECRET_KEY they can be forged; that a request has come
    from a page of this host is seen otherwise.
    """
    return hmac.new(config.SECRET_KEY.encode() or b"opa", b"cookies of the admin", hashlib.sha256).hexdigest()
