"""The documentation of opa-stack, where the installation has it, as the image has: `docs/site/build.py` makes it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from opa import config
from opa.plugins.console.page import READ
from opa.plugins.console.readers import reader_of
from opa.plugins.console.rendering import root_of

FOLDER = Path(__file__).parent / "_documentation"
PATH = "/docs/"
"""Below the path of the console."""
START = "index.html"

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_WITH_DIGEST = re.compile(r"\.[0-9a-f]{8}\.min\.(js|css)$")
_KEEP_FOR_GOOD = "public, max-age=31536000, immutable"


def is_installed() -> bool:
    """Whether there is a documentation to show."""
    return bool(_files())


async def documentation(request: Request) -> Response:
    """A file of it.

    Raises:
        HTTPException: nobody is known or the scope is missing (401, 403); there is no such file (404).
    """
    await reader_of(request, READ)
    name = request.path_params.get("name", "")
    if "name" not in request.path_params:
        return RedirectResponse(f"{root_of(request)}{config.CONSOLE_URL.rstrip('/')}{PATH}")
    file = _files().get(name or START)
    if file is None:
        raise HTTPException(404, "the documentation has no such page" if is_installed() else _NOT_INSTALLED)
    if file.suffix == ".html":
        return _page(file.read_bytes())
    is_kept = _WITH_DIGEST.search(file.name) is not None
    return FileResponse(file, headers={"Cache-Control": _KEEP_FOR_GOOD if is_kept else "no-cache"})


_NOT_INSTALLED = "this installation is without the documentation: the image has it, and a clone after `make docs`"


@cache
def _files() -> Mapping[str, Path]:
    """The files by their paths. Nothing else is served, whatever a path looks like."""
    return {file.relative_to(FOLDER).as_posix(): file for file in FOLDER.rglob("*") if file.is_file()}


def _page(html: bytes) -> HTMLResponse:
    """A page, in which the scripts run that stand in it, and those of this host."""
    response = HTMLResponse(html, headers={"Cache-Control": "no-cache"})
    if config.PAGES_POLICY:
        hashes = (b64encode(sha256(script).digest()).decode() for script in _SCRIPT.findall(html))
        scripts = " ".join(f"'sha256-{found}'" for found in hashes)
        response.headers["Content-Security-Policy"] = config.PAGES_POLICY.replace("{scripts}", scripts)
    return response
