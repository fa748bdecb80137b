"""What a server loads: `opa.main:app`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opa.core.errors import OpaError
from opa.core.log import log

if TYPE_CHECKING:
    from opa.core.app import Api

    app: Api


def start_api() -> Api:
    """Load settings and plugins, and build an application that a server, or a test client, can start.

    Raises:
        OpaError: a mistake in settings or plugins.
    """
    from opa.core.app import build_app
    from opa.core.prepare import prepare
    from opa.core.state import state

    state["runner"] = "uvicorn"
    return build_app(prepare())


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'opa.main' has no attribute {name!r}")
    try:
        globals()["app"] = start_api()
    except OpaError as error:
        # A server prints a stack trace for what its import raises; the one line that matters stands before it.
        log.error(str(error))
        raise
    return globals()["app"]
