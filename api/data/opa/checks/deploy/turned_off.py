"""Protection that the defaults have, and the settings turn off."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

LIMITS = {
    "api": (
        *("MAX_HEADERS", "HEADER_TIMEOUT", "MAX_BODY_BYTES", "MAX_UPLOAD_BYTES", "BODY_TIMEOUT", "REQUEST_TIMEOUT"),
        *("IDLE_TIMEOUT", "MAX_CONNECTIONS", "MAX_REQUESTS", "WEBSOCKET_MAX_MESSAGE_BYTES"),
    ),
    "worker": ("CELERY_TASK_TIME_LIMIT",),
}
"""The settings, by mode, that limit what a client or a task may use up, and can be null."""
_HEADERS = ("CONTENT_TYPE_OPTIONS", "FRAME_OPTIONS", "REFERRER_POLICY")
_PAGES = ("DOCS_URL", "REDOC_URL")


def missing_limits(deployment: Deployment) -> Iterator[Finding]:
    """Whether one client, or one task, can use up the memory or the places of a process."""
    found = [name for name in LIMITS.get(deployment.mode, ()) if deployment.config[name] is None]
    if found:
        who = "client" if deployment.mode == "api" else "task"
        yield Finding(
            f"{', '.join(found)}: without a limit, one {who} can hold memory or places of a process for ever",
            where=deployment.config.source(found[0]),
            hint="Set a limit; a route or a task that needs more can have its own",
        )


def missing_headers(deployment: Deployment) -> Iterator[Finding]:
    """Whether browsers are not told what protects users of the api."""
    config = deployment.config
    of_pages = ("PAGES_POLICY",) if any(config[page] is not None for page in _PAGES) else ()
    found = [name for name in (*_HEADERS, *of_pages) if config[name] is None]
    if deployment.mode == "api" and found:
        yield Finding(
            f"{', '.join(found)}: responses are sent without the headers that keep browsers from being led astray",
            where=config.source(found[0]),
            hint="Remove the setting, unless the proxy adds the header",
        )
