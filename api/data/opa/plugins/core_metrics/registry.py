"""The metrics of plugins: whatever they make with `prometheus_client` is kept in the cells of the process."""

from __future__ import annotations

from collections.abc import Iterator

import prometheus_client
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric, Summary, values
from prometheus_client.registry import Collector

from opa import log
from opa.plugins.core_metrics.cells import Cells
from opa.plugins.core_metrics.shared_values import value_class

IN_CELLS = (Counter, Gauge, Histogram, Summary)


class Metrics:
    """What was registered with `prometheus_client` since this application is being made."""

    def __init__(self, cells: Cells) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        values.ValueClass = value_class(cells)
        previous = getattr(REGISTRY.register, "__self__", None)
        # That of an earlier application in this process: its plugins are imported again, and this class as well.
        end = getattr(previous, "end", None)
        if end is not None:
            end()
        self._collectors: list[Collector] = []
        self._register = REGISTRY.register
        REGISTRY.register = self.register  # type: ignore[method-assign]

    def register(self, collector: Collector) -> None:
        """Do what the registry does, and remember the collector."""
        self._register(collector)
        self._collectors.append(collector)

    def end(self) -> None:
        """Take out what was registered."""
        REGISTRY.register = self._register  # type: ignore[method-assign]
        for collector in self._collectors:
            try:
                REGISTRY.unregister(collector)
            except KeyError:  # the plugin has
                continue

    def of_this_process(self) -> Iterator[Metric]:
        """What others have no part in: `Info`, `Enum`, and collectors of plugins."""
        for collector in tuple(self._collectors):
            if isinstance(collector, IN_CELLS):
                continue
            try:
                yield from list(collector.collect())
            except Exception as error:  # noqa: BLE001 - a plugin's may raise anything, and the others are wanted
                name = f"{type(collector).__module__}.{type(collector).__qualname__}"
                log.error(f"the collector {name} has failed, and its metrics are not shown: {error!r}")
