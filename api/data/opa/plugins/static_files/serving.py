"""The route below which the files of a plugin are served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send

from opa import get_actor
from opa.plugins.static_files.content_types import content_type
from opa.plugins.static_files.folder import DIGEST_LENGTH, Folder, Found, folder_of
from opa.plugins.static_files.urls import PARAMETER, URL

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_LENGTH}}}")
_KEEP, _ASK = "max-age=31536000, immutable", "no-cache"
_starlettes = StaticFiles()
"""For what it knows of conditional requests; it serves nothing."""


class _File(FileResponse):
    """One that ignores a range in a unit that it does not know, as RFC 9110 (14.2) has it; Starlette answers 400."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope).get("range", "bytes=")
        if asked.partition("=")[0].strip().lower() != "bytes":
            scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != b"range"]}
        await super().__call__(scope, receive, send)


def routes_of(plugin: str, place: Path | Traversable) -> Iterator[Route]:
    """The route of the files of one plugin.

    Raises:
        OpaError: its folder is none that may be served.
    """
    Folder(plugin, place).check()

    async def static_file(request: Request) -> Response:
        path, digest = request.path_params["path"], request.query_params.get(PARAMETER)
        # The pattern of a route leaves out a line feed at the end.
        is_whole = not request.scope["path"].endswith("\n")
        found = await run_in_threadpool(_find, folder_of(plugin, place), path, digest) if is_whole else None
        if found is None:
            raise HTTPException(404)
        return _answer(request, path, *found)

    yield Route(f"{URL}/{plugin}/{{path:path}}", static_file, methods=["GET", "HEAD"], include_in_schema=False)


def _find(folder: Folder, path: str, digest: str | None) -> tuple[Found, bool] | None:
    """The file, and whether the digest is its own."""
    found = folder.find(path)
    if found is None:
        return None
    is_its_own = digest is not None and _DIGEST.fullmatch(digest) and folder.digest(found) == digest
    return found, bool(is_its_own)


def _answer(request: Request, path: str, found: Found, is_kept: bool) -> Response:
    # What not everybody may have is kept by the browser alone, and by no cache on the way.
    whose = "" if get_actor() is None else "private, "
    headers = {"Cache-Control": whose + (_KEEP if is_kept else _ASK), "X-Content-Type-Options": "nosniff"}
    response = _File(found.path, headers=headers, media_type=content_type(path), stat_result=found.stat)
    if _starlettes.is_not_modified(response.headers, request.headers):
        return NotModifiedResponse(response.headers)
    return response
