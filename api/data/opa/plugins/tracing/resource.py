"""What the spans of this process come from."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource

_MODES = {"uvicorn": "api", "celery": "worker", "beat": "beat", "ipython": "shell"}
"""What `state["runner"]` says, and the mode that it stands for."""


def resource_of(config: Any, runner: str | None) -> Resource:
    """The name of the service, and what the variables say; these win.

    Args:
        config: reads `PROJECT_NAME` and `PROJECT_VERSION`.
        runner: what runs in this process; None in a command.
    """
    mode = _MODES.get(runner or "")
    name = f"{config.PROJECT_NAME}-{mode}" if mode else str(config.PROJECT_NAME)
    given = OTELResourceDetector().detect()
    return Resource.create({SERVICE_NAME: name, SERVICE_VERSION: str(config.PROJECT_VERSION)}).merge(given)
