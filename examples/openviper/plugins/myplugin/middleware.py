"""Gives each request the client that `ready` has connected."""

from __future__ import annotations

from opa import BaseMiddleware


class MyPluginMiddleware(BaseMiddleware):
    """Puts it into the scope."""

    async def __call__(self, scope, receive, send) -> None:
        """Pass every request on."""
        from myplugin import _client  # of now: this file is imported before `ready` has run

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["my_plugin"] = _client
        await self.app(scope, receive, send)
