"""What this process counts in: made with the application, whose plugins are imported behind it."""

from __future__ import annotations

from opa.plugins.core_metrics.cells import Cells
from opa.plugins.core_metrics.registry import Metrics

cells = Cells()
metrics = Metrics(cells)
