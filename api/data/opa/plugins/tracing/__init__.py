"""Traces by OpenTelemetry: requests, sends, tasks, and the calls of components to redis and MongoDB.

The standard OTEL_ variables turn it on, and say where spans go. Where none of them asks for traces, nothing of
OpenTelemetry's SDK is imported. See docs/tracing.md.
"""

from __future__ import annotations

import os

from opa.plugins.tracing.wanted import asking_variable

_variable = asking_variable(os.environ)
if _variable is not None:
    from importlib.util import find_spec

    from opa import log

    # Telemetry that is missing is no reason not to serve.
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning(
            f"{_variable} asks for traces, and there are none: the package opentelemetry-sdk is not installed"
            " (Install it: pip install 'opa-stack[tracing]')"
        )
    else:
        from opa.plugins.tracing.switched_on import SwitchedOn

        _tracing = SwitchedOn.from_environment(_variable)
        if _tracing is not None:
            ready = _tracing.ready
            shutdown = _tracing.shutdown
