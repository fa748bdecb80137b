"""The values of `prometheus_client`'s metrics, in the cells of the process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from opa.plugins.core_metrics.cells import Cells, Definition

MOST_RECENT = frozenset({"mostrecent", "livemostrecent"})


def value_class(cells: Cells) -> type:
    """What `prometheus_client` keeps a number in, for `prometheus_client.values.ValueClass`."""

    class SharedValue:
        """A number of a metric."""

        _multiprocess = True
        __slots__ = ("_first", "_is_timed")

        def __init__(  # noqa: PLR0917 - as prometheus_client calls it
            self,
            typ: str,
            metric_name: str,
            name: str,
            labelnames: Sequence[str],
            labelvalues: Sequence[str],
            help_text: str,
            multiprocess_mode: str = "",
            **_: Any,
        ) -> None:
            self._is_timed = multiprocess_mode in MOST_RECENT
            labels = tuple(each for each in labelnames if each != "le" or typ != "histogram")
            definition = Definition(typ, metric_name, help_text, multiprocess_mode, labels)
            suffix = name.removeprefix(metric_name)
            self._first = cells.allocate(definition, suffix, tuple(labelvalues), 2 if self._is_timed else 1)

        def inc(self, amount: float) -> None:
            with cells.lock:
                cells.view[self._first] += amount

        def set(self, value: float, timestamp: float | None = None) -> None:
            with cells.lock:
                cells.view[self._first] = value
                if self._is_timed:
                    cells.view[self._first + 1] = timestamp or time.time()

        def get(self) -> float:
            return float(cells.view[self._first])

        def set_exemplar(self, exemplar: Any) -> None:
            """There is no place for one."""

        def get_exemplar(self) -> None:
            return None

    return SharedValue
