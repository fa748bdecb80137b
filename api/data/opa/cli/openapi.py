"""`opa openapi`: the OpenAPI document of the project, for tools that make clients, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opa.cli.beside_up import manager_beside_up
from opa.cli.files import write_file
from opa.cli.program import app

if TYPE_CHECKING:
    from opa.http.application import Api


@app.command()
def openapi(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the document to this file instead of printing it.")
    ] = None,
) -> None:
    """Print the OpenAPI document of the project. It needs no server and no component."""
    from opa.http.builder import build_app

    text = _text(build_app(manager_beside_up()))
    if output is None:
        typer.echo(text.encode(), nl=False)  # in UTF-8, as JSON is, whatever the terminal has
    elif not _has(output, text):  # a file that stays as it is starts no other tool
        hint = "Give --output a file in a folder that is there, and that you may write to"
        write_file(output, text, "the OpenAPI document", hint)


def _text(application: Api) -> str:
    """The document, indented, and with a newline in the end: it may be kept beside the code.

    Raises:
        OpenApiError: something cannot be described.
    """
    from opa.http.openapi.build import build, is_fastapis_own
    from opa.http.openapi.document import encode

    document = build(application) if is_fastapis_own(application) else encode(application.openapi())
    body = document.below(application.manager.config.OPENAPI_PREFIX).body
    return json.dumps(json.loads(bytes(body)), indent=2, ensure_ascii=False) + "\n"


def _has(file: Path, text: str) -> bool:
    try:
        return file.is_file() and file.read_bytes() == text.encode()  # a pipe would wait, and a device have no end
    except OSError:
        return False
