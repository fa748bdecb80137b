"""What a test reads from `/metrics`."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.no_answer import NO_ANSWER


class Scrape:
    """The samples of an answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """That of all samples with these labels."""
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def values(self, name: str, label: str) -> set[str]:
        """Those that a label has."""
        return {sample.labels[label] for sample in self.samples if sample.name == name}

    def counters(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """What must never go down."""
        ends = ("_total", "_count", "_bucket", "_sum")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name.endswith(ends)
        }


def scrape(port: int, path: str = "/metrics") -> Scrape:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return Scrape(answer.read().decode())


def is_there(port: int) -> bool:
    try:
        scrape(port)
    except NO_ANSWER:
        return False
    return True


def went_down(before: Scrape, after: Scrape) -> list[str]:
    """Which counters did, or are gone."""
    now = after.counters()
    return [f"{key}: {value} to {now.get(key)}" for key, value in before.counters().items() if now.get(key, -1) < value]
