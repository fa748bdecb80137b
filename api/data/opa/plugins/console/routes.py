"""The routes of the console: its pages, what people do on them, and the files that they need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opa import ConsolePage, config, get_router
from opa.plugins.console import (
    dead_page,
    plugins_page,
    routes_page,
    runs_page,
    schedule_page,
    settings_page,
    start_page,
    tasks_page,
)
from opa.plugins.console.added import html_of, members
from opa.plugins.console.documentation import PATH, documentation
from opa.plugins.console.failing import nothing, with_error_pages
from opa.plugins.console.page import READ, Context, Page
from opa.plugins.console.readers import Reader, reader_of
from opa.plugins.console.rendering import FILES, Templates, digest, file, root_of
from opa.plugins.console.showing import Shown

_START = Page("", "Start", "start.html", start_page.context)
_PLUGINS = Page("/plugins", "Plugins", "plugins.html", plugins_page.all_plugins)
_PLUGIN = Page("/plugins/{name}", "Plugin", "plugin.html", plugins_page.one_plugin, is_in_navigation=False)
_ROUTES = Page("/routes", "Routes", "routes.html", routes_page.context)
_TASKS = Page("/tasks", "Tasks", "tasks.html", tasks_page.all_tasks, is_of_use=schedule_page.are_scheduled)
_TASK = Page("/tasks/{name:path}", "Task", "task.html", tasks_page.one_task, is_in_navigation=False, is_live=False)
_RUNS = Page("/runs", "Runs", "runs.html", runs_page.all_runs, runs_page.RUNS, is_of_use=runs_page.are_recorded)
_RUN = Page("/runs/{id:path}", "Run", "run.html", runs_page.one_run, runs_page.RUNS, is_in_navigation=False)
_DEAD = Page(
    "/dead", "Dead letters", "dead.html", dead_page.all_letters, runs_page.RUNS, is_of_use=schedule_page.are_scheduled
)
_LETTER = Page(
    "/dead/{id:path}", "Dead letter", "letter.html", dead_page.one_letter, runs_page.RUNS, is_in_navigation=False
)
_SCHEDULE = Page("/schedule", "Schedule", "schedule.html", schedule_page.context, is_of_use=schedule_page.are_scheduled)
_SETTINGS = Page("/settings", "Settings", "settings.html", settings_page.context, scope=settings_page.SETTINGS)
PAGES = (_START, _PLUGINS, _PLUGIN, _ROUTES, _TASKS, _TASK, _RUNS, _RUN, _DEAD, _LETTER, _SCHEDULE, _SETTINGS)

ACTIONS = (
    (_TASK.path, "send", runs_page.ACT, _TASK),
    (f"{_RUN.path}/cancel", "cancel", runs_page.ACT, _RUN),
    (f"{_RUN.path}/again", "again", runs_page.ACT, _RUN),
    (f"{_LETTER.path}/again", "send_dead_again", runs_page.ACT, _DEAD),
    (f"{_LETTER.path}/drop", "drop_dead", runs_page.ACT, _DEAD),
    (f"{_SCHEDULE.path}/pause", "pause", schedule_page.ACT, _SCHEDULE),
    (f"{_SCHEDULE.path}/resume", "resume", schedule_page.ACT, _SCHEDULE),
    (f"{_SCHEDULE.path}/run", "run", schedule_page.ACT, _SCHEDULE),
)
"""What people do: path, name in `actions.py`, the scope that it requires, and the page on which a problem is shown."""

_KEEP_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}

_url = config.CONSOLE_URL.rstrip("/")
_files_url = f"{_url}/files/{digest()}"
templates = Templates(_files_url)
_shown = Shown(PAGES, templates)
router = get_router(include_in_schema=False)


def _shows(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        if "" in request.path_params.values():  # a parameter that takes slashes takes the one behind the list, too
            return RedirectResponse(root_of(request) + _url + page.path.partition("/{")[0])
        reader = await reader_of(request, page.scope)
        return await _shown.page(request, reader, page, lambda: page.context(request, reader))

    return show


def _does(name: str, scope: str, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def do(request: Request) -> Response:
        reader = await reader_of(request, scope)
        if not schedule_page.are_scheduled():
            raise HTTPException(404, "no plugin has a task")
        from opa.plugins.console import actions  # with Celery, which is imported where there is a task

        form = await actions.form_of(request)
        try:
            path = await actions.done(getattr(actions, name), request, reader, form)
        except actions.RefusedActionError as refused:
            if not reader.can(page.scope):
                raise HTTPException(400, str(refused)) from refused
            request.scope["opa.console.entered"] = dict(form)
            return await _shown.page(request, reader, page, lambda: page.context(request, reader), str(refused))
        return RedirectResponse(root_of(request) + _url + path, 303)

    return do


async def _added_page(request: Request) -> Response:
    name = request.path_params["name"]
    found = next(((uri, page) for uri, page in members(ConsolePage) if page.path == name), None)
    if found is None:
        await reader_of(request, READ)
        raise HTTPException(404, "there is no such page")
    uri, added = found
    reader = await reader_of(request, added.scope)

    async def context(request: Request, _reader: Reader) -> Context:
        return {"title": added.title, "body": await html_of(uri, added.body, request)}

    page = Page("", added.title, "added.html", context)
    return await _shown.page(request, reader, page, lambda: context(request, reader))


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        raise HTTPException(404)
    return Response(file(name), media_type=FILES[name], headers=_KEEP_FOR_GOOD)


for _page in PAGES:
    router.add_route(_url + _page.path or "/", with_error_pages(_shows(_page), _shown), methods=["GET", "HEAD"])
for _path, _name, _scope, _page in ACTIONS:
    router.add_route(_url + _path, with_error_pages(_does(_name, _scope, _page), _shown), methods=["POST"])
router.add_route(f"{_url}/added/{{name}}", with_error_pages(_added_page, _shown), methods=["GET", "HEAD"])
for _path in (PATH.rstrip("/"), f"{PATH}{{name:path}}"):
    router.add_route(_url + _path, with_error_pages(documentation, _shown), methods=["GET", "HEAD"])
router.add_route(f"{_files_url}/{{name}}", _file, methods=["GET", "HEAD"])
no_page = with_error_pages(nothing, _shown)
"""Answers behind all routes that there are."""
