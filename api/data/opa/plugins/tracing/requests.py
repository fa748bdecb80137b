"""What FastAPI does not say in the span of a request: the plugin, the request's id, and what was raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from opa import BaseMiddleware, get_plugin_manager, get_request_id


class RequestDetails(BaseMiddleware):
    """Adds it. FastAPI itself makes the span, with the template of the route, and ends it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on; then the route is known, and so is the error that no handler has caught."""
        span = trace.get_current_span()
        if scope["type"] not in ("http", "websocket") or not span.is_recording():
            await self.app(scope, receive, send)
            return
        request_id = get_request_id()
        if request_id is not None:
            span.set_attribute("opa.request_id", request_id)
        sent = send

        async def send_with_plugin(message: Any) -> None:
            # Before the answer is over, since FastAPI ends the span with it.
            if message["type"] in ("http.response.start", "websocket.accept"):
                _add_plugin(span, scope)
            await sent(message)

        try:
            await self.app(scope, receive, send_with_plugin)
        except Exception as error:
            _add_plugin(span, scope)
            if _is_of_fastapi(span):  # what else makes spans of requests records it as well
                span.record_exception(error)
            raise


def _is_of_fastapi(span: Any) -> bool:
    return getattr(getattr(span, "instrumentation_scope", None), "name", "") == "fastapi"


def _add_plugin(span: trace.Span, scope: Mapping[str, Any]) -> None:
    module = getattr(scope.get("endpoint"), "__module__", None)
    plugin = get_plugin_manager().plugin_of_module(module) if module else None
    if plugin is not None:
        span.set_attribute("opa.plugin", plugin)
