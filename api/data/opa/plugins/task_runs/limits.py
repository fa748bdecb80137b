"""What is kept of runs."""

from __future__ import annotations

from typing import Any

from opa.plugins.task_runs.names import prefix_of

BYTES_OF_RUN, LEAST_BYTES = 1000, 1_000_000
"""Bytes of records that are kept where no setting says it: for each run, and at least in all."""


class Limits:
    """What is kept, by the settings.

    Attributes:
        prefix: what the keys begin with.
        keep: how many runs.
        age: seconds for which a run is kept.
        blob_bytes: that logs, tracebacks and long arguments may take.
        run_bytes: that records may take.
    """

    def __init__(self, config: Any) -> None:
        self.prefix = prefix_of(config)
        self.keep, self.age, self.blob_bytes = config.RUNS_KEEP, config.RUNS_KEEP_AGE, config.RUNS_KEEP_BYTES
        self.run_bytes = config.RUNS_KEEP_RECORD_BYTES or max(LEAST_BYTES, self.keep * BYTES_OF_RUN)

    def args(self) -> list[Any]:
        """What scripts that write are given first."""
        return [self.prefix, self.keep, self.age, self.blob_bytes, self.run_bytes]
