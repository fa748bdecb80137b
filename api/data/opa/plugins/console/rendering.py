"""HTML out of templates, and the files that the pages need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from opa import config

_FOLDER = Path(__file__).parent
_FILES = _FOLDER / "_files"
FILES = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
_DIGEST_LENGTH = 12
# A proxy may serve the application below a path, which may come from a header.
_IN_PATH = "/:@!$&()*+,;=~%"


def digest() -> str:
    """Of all files, as a part of their path: a browser may keep them for good, and still gets those of an update."""
    return sha256(b"".join((_FILES / name).read_bytes() for name in sorted(FILES))).hexdigest()[:_DIGEST_LENGTH]


def file(name: str) -> bytes:
    """What a file has in it."""
    return (_FILES / name).read_bytes()


class Templates:
    """The templates of the console.

    Args:
        files: the path of the files below that of the console.
    """

    def __init__(self, files: str) -> None:
        self._files = files
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER / "_templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["moment"] = _moment
        self._environment.filters["in_path"] = _in_path
        self._environment.filters["short_path"] = lambda path: "/".join(path.rsplit("/", 2)[-2:])
        self._environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]

    def html(self, name: str, request: Request, context: Mapping[str, Any]) -> str:
        """What the template `name` makes of `context`."""
        root = root_of(request)
        html = self._environment.get_template(name).render(
            context,
            root=root,
            console=root + config.CONSOLE_URL.rstrip("/"),
            files_url=root + self._files,
            settings=config,
        )
        # What an error or a plugin says may have half a character, which no page can have.
        return html.encode("utf-8", "replace").decode()


def root_of(request: Request) -> str:
    """The path under which a proxy serves the application; empty for none."""
    path = str(request.scope.get("root_path", "")).strip("/\\")
    return f"/{quote(path, safe=_IN_PATH)}" if path else ""


def answer(html: str, status: int = 200) -> HTMLResponse:
    """The answer with a page, which nobody keeps, and in which only scripts of this host run."""
    response = HTMLResponse(html, status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept"
    # A browser that may not tell where a form was sent from says that its origin is null.
    response.headers["Referrer-Policy"] = "same-origin"
    if config.PAGES_POLICY:
        response.headers["Content-Security-Policy"] = config.PAGES_POLICY.replace("{scripts}", "")
    return response


def _in_path(text: str) -> str:
    """A name as a part of the path of a link or a form.

    A browser goes up for `..`, also where it is encoded: with such an id, a sender would lead a button of this page,
    and with it who presses it, to another page of this host. It becomes a name that nothing has.
    """
    steps = ("\u2024" * len(step) if step in (".", "..") else step for step in text.split("/"))
    return quote("/".join(steps).encode("utf-8", "replace"), safe="/")


def _moment(seconds: float) -> str:
    """A time as a page without a script has it; a script shows it as the reader's own."""
    try:
        moment = datetime.fromtimestamp(round(seconds), UTC)
    except (ValueError, OverflowError):  # it stands in redis, where others may write too
        return str(seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
