"""Built-in plugins of earlier versions, which settings and requirements may still name."""

from __future__ import annotations

from opa._util.distributions import canonical_name

FORMER = {"core_cors": "CORS is no longer a plugin: the setting ALLOW_ORIGINS turns it on. Remove the name"}
"""What to do about the name of each."""


def hint_for_former(name: str) -> str | None:
    """What to do where someone names a plugin that has become something else."""
    return FORMER.get(canonical_name(name).replace("-", "_"))
