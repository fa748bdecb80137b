"""The interactive documentation: Swagger UI under DOCS_URL and ReDoc under REDOC_URL.

With SELF_HOSTED their files come from this process, out of the package fastapi-offline, and nothing is
asked of another host.
"""

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.metadata import version
from importlib.resources import files as files_of
from typing import Any
from urllib.parse import quote

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse

from opa import config, get_router

router = get_router(include_in_schema=False)

# The version is in the path, so a browser may keep a file for good and still gets the one of an update.
FILES_URL = f"/opa-docs/{version('fastapi-offline')}"
FILES = {
    "favicon.png": "image/png",
    "redoc.standalone.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
KEEP_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}

SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
OAUTH2_REDIRECT_URL = f"{(config.DOCS_URL or '').rstrip('/')}/oauth2-redirect"


def _root(request: Request) -> str:
    """The path under which a proxy serves the application, as it may stand in a page and in a script of it."""
    # A middleware may take it from a header. A quote, a backslash or `<` would end the text that it stands in.
    return quote(str(request.scope.get("root_path", "")).rstrip("/"), safe="/%:@!$&()*+,;=~")


def _with_policy(page: HTMLResponse) -> HTMLResponse:
    """The page with PAGES_POLICY, by which nothing runs but the scripts that stand in it now and those of this host.

    ReDoc, for one, would show a picture from a host of its makers.
    """
    if config.SELF_HOSTED and config.PAGES_POLICY:
        hashes = [b64encode(sha256(script).digest()).decode() for script in SCRIPT.findall(bytes(page.body))]
        scripts = " ".join(f"'sha256-{found}'" for found in hashes)
        page.headers["Content-Security-Policy"] = config.PAGES_POLICY.replace("{scripts}", scripts)
    return page


async def docs(request: Request) -> HTMLResponse:
    """Swagger UI."""
    root, app = _root(request), request.app
    files: dict[str, Any] = {}
    parameters = dict(app.swagger_ui_parameters or {})
    if config.SELF_HOSTED:
        files = {
            "swagger_js_url": f"{root}{FILES_URL}/swagger-ui-bundle.js",
            "swagger_css_url": f"{root}{FILES_URL}/swagger-ui.css",
            "swagger_favicon_url": f"{root}{FILES_URL}/favicon.png",
        }
        parameters.setdefault("validatorUrl", None)  # or else it sends the API's description to a host of its makers
    page = get_swagger_ui_html(
        openapi_url=root + config.OPENAPI_URL,
        title=escape(f"{app.title} - Swagger UI"),
        oauth2_redirect_url=root + OAUTH2_REDIRECT_URL,
        init_oauth=app.swagger_ui_init_oauth,
        swagger_ui_parameters=parameters,
        **files,
    )
    return _with_policy(page)


async def oauth2_redirect() -> HTMLResponse:
    """Where an identity provider sends the browser back to Swagger UI."""
    return _with_policy(get_swagger_ui_oauth2_redirect_html())


async def redoc(request: Request) -> HTMLResponse:
    """ReDoc."""
    root = _root(request)
    files: dict[str, Any] = {}
    if config.SELF_HOSTED:
        files = {
            "redoc_js_url": f"{root}{FILES_URL}/redoc.standalone.js",
            "redoc_favicon_url": f"{root}{FILES_URL}/favicon.png",
            "with_google_fonts": False,
        }
    page = get_redoc_html(openapi_url=root + config.OPENAPI_URL, title=escape(f"{request.app.title} - ReDoc"), **files)
    return _with_policy(page)


async def file(name: str) -> FileResponse:
    """One of the files that the two pages need."""
    if name not in FILES:
        raise HTTPException(404)
    return FileResponse(
        str(files_of("fastapi_offline") / "static" / name), media_type=FILES[name], headers=KEEP_FOR_GOOD
    )


if config.DOCS_URL:
    router.add_api_route(config.DOCS_URL, docs, methods=["GET", "HEAD"])
    router.add_api_route(OAUTH2_REDIRECT_URL, oauth2_redirect)
if config.REDOC_URL:
    router.add_api_route(config.REDOC_URL, redoc, methods=["GET", "HEAD"])
if config.SELF_HOSTED and (config.DOCS_URL or config.REDOC_URL):
    router.add_api_route(f"{FILES_URL}/{{name}}", file, methods=["GET", "HEAD"])
