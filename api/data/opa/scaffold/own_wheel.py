"""How the wheel of this opa-stack gets into a project, where no index has it."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any
from urllib.parse import unquote, urlsplit

from opa._util.masking.text import mask_url

FOLDER = "wheels"
"""Where the Makefile of a project looks for it."""


def command_for_own_wheel() -> str:
    """The command, for the folder of the project; empty where opa-stack came from an index."""
    try:
        return _command(_direct_url(distribution("opa-stack")))
    except (PackageNotFoundError, KeyError, TypeError, AttributeError, ValueError):
        return ""  # another tool wrote it than PEP 610 has in mind; what is said is no more than a hint


def _direct_url(found: Distribution) -> dict[str, Any]:
    """Where it was installed from, by PEP 610."""
    direct_url: dict[str, Any] = json.loads(found.read_text("direct_url.json") or "{}")
    return direct_url


def _command(direct_url: dict[str, Any]) -> str:
    if not direct_url:
        return ""
    url = urlsplit(direct_url["url"])
    path = unquote(url.path)
    if url.scheme == "file" and path.endswith(".whl"):
        return f"mkdir -p {FOLDER} && cp {shlex.quote(path)} {FOLDER}/"
    vcs = direct_url.get("vcs_info")
    source = path if url.scheme == "file" and not vcs else mask_url(direct_url["url"])
    if vcs:
        source = f"{vcs['vcs']}+{source}@{vcs['commit_id']}"
    if folder := direct_url.get("subdirectory"):
        source += f"#subdirectory={folder}"
    return f"pip wheel --no-deps -w {FOLDER} {shlex.quote(source)}"
