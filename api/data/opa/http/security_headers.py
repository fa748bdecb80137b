"""The headers of an answer by which a browser is told what not to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.http.cors import RawHeaders
    from opa.settings.load import Config

HEADERS = {
    "x-content-type-options": "CONTENT_TYPE_OPTIONS",
    "x-frame-options": "FRAME_OPTIONS",
    "referrer-policy": "REFERRER_POLICY",
}
"""Each with the setting that has its value."""
HSTS = b"strict-transport-security"


def security_headers(config: Config) -> RawHeaders:
    """Those of the settings, of answers over any connection."""
    values = {header: config[setting] for header, setting in HEADERS.items()}
    return [(name.encode(), value.encode("latin-1")) for name, value in values.items() if value is not None]


def tls_headers(config: Config) -> RawHeaders:
    """Those that answers over TLS have besides."""
    return [] if config.HSTS_SECONDS is None else [(HSTS, b"max-age=%d" % config.HSTS_SECONDS)]
