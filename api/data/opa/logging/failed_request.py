"""Which request an exception has ended: the server writes it into the log, and knows nothing of routes and plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTE = "_opa_request"


def note_request(error: BaseException, found: Mapping[str, Any]) -> None:
    """Note on `error` which request it has ended, for the line that the server writes when it gets the error.

    Args:
        error: what a route, or what stands around it, has raised.
        found: `method`, and where they are known `path`, `route`, `plugin`, `request_id` and `actor`; None for what
            is not.
    """
    vars(error)[_NOTE] = {name: value for name, value in found.items() if value is not None}


def take_note(error: BaseException | None) -> dict[str, Any]:
    """What `note_request` has noted, once."""
    note: dict[str, Any] = {} if error is None else vars(error).pop(_NOTE, {})
    return note


def in_words(note: Mapping[str, Any]) -> str:
    """For the message of a line: the same for all requests of a route, and nothing that a client has sent."""
    where = f"{note['method']} {note['route']}" if "route" in note else note["method"]
    return f"{where}, plugin {note['plugin']}" if "plugin" in note else where
