"""The numbers of all processes in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from opa import log
from opa.plugins.core_metrics.cells import Definition
from opa.plugins.core_metrics.reading import Total


class Format(NamedTuple):
    """A version of the text format: there are few.

    Attributes:
        content_type: of the answer.
        encoder: writes what a registry has.
    """

    content_type: str
    encoder: Callable[[Any], bytes]


def format_for(accept: str) -> Format:
    """The one that a request asks for.

    Args:
        accept: the header of the request; where it makes no sense, the oldest version is it.
    """
    try:
        encoder, content_type = choose_encoder(accept)
    except Exception:  # noqa: BLE001 - prometheus_client compares what is no number, such as version=abc
        encoder, content_type = choose_encoder("")
    return Format(content_type, encoder)


def as_text(metrics: Iterable[Metric], encoder: Callable[[Any], bytes]) -> bytes:
    """The answer to a request.

    Args:
        metrics: all of them.
        encoder: that of the format.
    """
    found = list(metrics)
    try:
        return encoder(_Fixed(found))
    except Exception:  # noqa: BLE001 - the collector of a plugin may give anything, and the other metrics are wanted
        return encoder(_Fixed(_fit(found, encoder)))


def _fit(metrics: Iterable[Metric], encoder: Callable[[Any], bytes]) -> list[Metric]:
    """Those that can be written."""
    fit = []
    for metric in metrics:
        try:
            encoder(_Fixed([metric]))
        except Exception as error:  # noqa: BLE001 - as above
            log.error(
                "the metric {!r} cannot be written, and is not shown: {!r}", getattr(metric, "name", metric), error
            )
        else:
            fit.append(metric)
    return fit


class _Fixed:
    """Stands for a registry."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def families(total: Total) -> Iterator[Metric]:
    """The metrics with what was counted."""
    found: dict[Definition, Metric] = {}
    histograms: dict[Definition, dict[tuple[str, ...], dict[float, float]]] = {}
    for (definition, suffix, labels), numbers in total.numbers.items():
        metric = _metric(found, definition)
        if definition.bounds:
            _add_histogram(metric, definition, labels, dict(zip(definition.bounds, numbers, strict=False)), numbers[-1])
        elif suffix == "_bucket":
            series = histograms.setdefault(definition, {})
            series.setdefault(labels[:-1], {})[float(labels[-1])] = numbers[0]
        else:
            metric.add_sample(definition.name + suffix, _named(definition, labels), numbers[0])
    for definition, series in histograms.items():
        for labels, buckets in series.items():
            _add_histogram(found[definition], definition, labels, buckets, None)
    for process, own_numbers in total.by_process.items():
        for (definition, suffix, labels), numbers in own_numbers.items():
            named = _named(definition, labels) | {"pid": process}
            _metric(found, definition).add_sample(definition.name + suffix, named, numbers[0])
    yield from found.values()


def _metric(found: dict[Definition, Metric], definition: Definition) -> Metric:
    metric = found.get(definition)
    if metric is None:
        metric = found[definition] = Metric(definition.name, definition.text, definition.kind)
    return metric


def _named(definition: Definition, labels: Iterable[str]) -> dict[str, str]:
    return dict(zip(definition.labels, labels, strict=False))


def _add_histogram(
    metric: Metric, definition: Definition, labels: tuple[str, ...], buckets: dict[float, float], sum_: float | None
) -> None:
    named = _named(definition, labels)
    count = 0.0
    for bound in sorted(buckets):
        count += buckets[bound]
        metric.add_sample(f"{definition.name}_bucket", named | {"le": _written(bound)}, count)
    metric.add_sample(f"{definition.name}_count", named, count)
    if sum_ is not None:
        metric.add_sample(f"{definition.name}_sum", named, sum_)


def _written(bound: float) -> str:
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
    return text
