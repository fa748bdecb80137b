"""The names of the keys in redis, of the fields of a record, and of the states."""

from __future__ import annotations

from typing import Any

WAITING, RUNNING, RETRYING, GIVEN_BACK = "waiting", "running", "retrying", "given back"
SUCCEEDED, FAILED, DEAD, REVOKED, LOST = "succeeded", "failed", "dead", "revoked", "lost"
STATES = (WAITING, RUNNING, RETRYING, GIVEN_BACK, SUCCEEDED, FAILED, DEAD, REVOKED, LOST)
BAD = (FAILED, DEAD, LOST)
"""Those of `--failed`."""
OVER = (SUCCEEDED, FAILED, DEAD, REVOKED)

WORKER_LIFE = 45
"""Seconds after which a worker that says nothing counts as gone."""
MISSING_TIME = 15
"""Seconds for which a worker must be missing, before what it runs is lost: redis itself may have been away."""

ASK_AFTER = 60
"""Seconds that a run waits before its result is asked for: whoever has run it may have been unable to tell."""
UNHEARD_TIME = {WAITING: 3600, GIVEN_BACK: 86_400, RETRYING: 86_400}
"""Seconds after which a run that no queue and no worker has is lost. For their time, tasks may wait in other places."""


def project_of(config: Any) -> str:
    """By what the keys of a project are told from those of others."""
    return str(config.PROJECT_ID or config.PROJECT_NAME)


def prefix_of(config: Any) -> str:
    """What all keys begin with."""
    return f"opa:{project_of(config)}:runs:"
