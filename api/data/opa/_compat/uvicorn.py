"""What is private in uvicorn, and used here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http import flow_control, httptools_impl

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application as Application
    from uvicorn._types import ASGIReceiveEvent as Received
    from uvicorn._types import ASGISendEvent as Sent

__all__ = ["Application", "FlowControl", "HttpProtocol", "Received", "Sent"]


class FlowControl(flow_control.FlowControl):
    """Whether a connection is read, and may be written to."""

    _transport: asyncio.Transport

    def stop_transport(self) -> None:
        """Read no more, whatever is known of it here."""
        self._transport.pause_reading()

    def start_transport(self) -> None:
        """Read on."""
        self._transport.resume_reading()


class HttpProtocol(httptools_impl.HttpToolsProtocol):
    """A connection that speaks HTTP."""

    asks_for_websocket = httptools_impl.HttpToolsProtocol._should_upgrade
    """Whether the request that asks for an upgrade asks for a websocket."""

    def __init_subclass__(cls, **options: Any) -> None:
        # By the names of uvicorn, and not by a call: one of them comes with each request.
        named: Any = cls
        named._start_asgi_task = cls.start_request
        named._unsupported_upgrade_warning = cls.note_other_upgrade
        super().__init_subclass__(**options)

    def start_request(self, cycle: httptools_impl.RequestResponseCycle, app: Application) -> None:
        """Called by uvicorn with a request whose turn has come: run the application, in a task."""
        httptools_impl.HttpToolsProtocol._start_asgi_task(self, cycle, app)

    def note_other_upgrade(self) -> None:
        """Called where a request asks for an upgrade to something else than a websocket."""
        httptools_impl.HttpToolsProtocol._unsupported_upgrade_warning(self)
