"""The headers of an answer by which a browser is told what not to do with it.

As with CORS it is no middleware: they belong to every answer, that to an error that nothing caught among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Scope

    from opa.settings.load import Config

HEADERS = {
    "x-content-type-options": "CONTENT_TYPE_OPTIONS",
    "x-frame-options": "FRAME_OPTIONS",
    "referrer-policy": "REFERRER_POLICY",
}
"""Each with the setting that has its value."""
HSTS = b"strict-transport-security"
TLS = frozenset({"https", "wss"})


class SecurityHeaders:
    """Those of the settings. An answer that has one of them already keeps its own.

    Args:
        config: reads the settings in `HEADERS`, and HSTS_SECONDS.
    """

    def __init__(self, config: Config) -> None:
        values = {header: config[setting] for header, setting in HEADERS.items()}
        self._plain = [(name.encode(), value.encode("latin-1")) for name, value in values.items() if value is not None]
        self._secure = list(self._plain)
        if config.HSTS_SECONDS is not None:
            self._secure.append((HSTS, b"max-age=%d" % config.HSTS_SECONDS))
        self._names = frozenset(name for name, _ in self._secure)

    @classmethod
    def from_config(cls, config: Config) -> SecurityHeaders | None:
        """Those of the settings; None where they are all turned off."""
        headers = cls(config)
        return headers if headers._secure else None

    def with_headers(self, message: Message, scope: Scope) -> Message:
        """The start of an answer, with those that it has not."""
        given = message.get("headers") or ()
        ours = self._secure if scope["scheme"] in TLS else self._plain
        there = [name.lower() for name, _ in given if name.lower() in self._names]
        if there:
            ours = [header for header in ours if header[0] not in there]
        return {**message, "headers": [*given, *ours]}
