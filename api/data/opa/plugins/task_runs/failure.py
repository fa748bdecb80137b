"""The error of what is asked for with a run."""

from __future__ import annotations

from opa import OpaError


class RunError(OpaError):
    """What was asked for cannot be done with this run; the text says why."""
