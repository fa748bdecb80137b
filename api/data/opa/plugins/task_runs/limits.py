"""What is kept of runs."""

from __future__ import annotations

from typing import Any

from opa.plugins.task_runs.names import prefix_of


class Limits:
    """What is kept, by the settings."""

    def __init__(self, config: Any) -> None:
        self.prefix = prefix_of(config)
        self.keep, self.age, self.bytes = config.RUNS_KEEP, config.RUNS_KEEP_AGE, config.RUNS_KEEP_BYTES
