"""What the spans of this process come from."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource

_NAMED = frozenset({"api", "worker", "beat", "flower", "shell"})
"""Modes whose name is in that of the service. A command is not a service of its own."""


def resource_of(config: Any, mode: str | None) -> Resource:
    """The name of the service, and what the variables say; these win.

    Args:
        config: reads `PROJECT_NAME` and `PROJECT_VERSION`.
        mode: what runs in this process, as `state["mode"]` says it; None where nothing does.
    """
    name = f"{config.PROJECT_NAME}-{mode}" if mode in _NAMED else str(config.PROJECT_NAME)
    given = OTELResourceDetector().detect()
    return Resource.create({SERVICE_NAME: name, SERVICE_VERSION: str(config.PROJECT_VERSION)}).merge(given)
