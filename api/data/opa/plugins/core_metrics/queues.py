"""The lengths of the queues, as the broker has told them; whoever asks for the metrics never waits for it for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

from prometheus_client import Metric

from opa import get_plugin_manager, log, queue_lengths

FRESH, KNOWN = 5.0, 60.0
"""Seconds for which an answer is not asked for again, and is shown where there is no newer one."""
LIMIT = 1.0
"""Seconds that the one who asks for the metrics waits."""
TOLD_EVERY = 300.0
DEAD = "opa.dead"


class Queues:
    """What is known of them in this process."""

    def __init__(self) -> None:
        self._lengths: Mapping[str, int] = {}
        self._known_at = self._told_at = float("-inf")
        self._asking: threading.Thread | None = None

    def metrics(self) -> Iterator[Metric]:
        """Their lengths, where they are known; none in a process that has no tasks."""
        if not self._has_tasks():
            return
        now = time.monotonic()
        if now - self._known_at > FRESH:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="queue-lengths", daemon=True)
                self._asking.start()
            self._asking.join(LIMIT)
        is_known = time.monotonic() - self._known_at < KNOWN
        reached = Metric("opa_broker_up", "Whether the broker has told the lengths of the queues lately.", "gauge")
        reached.add_sample("opa_broker_up", {}, float(is_known))
        yield reached
        if is_known:
            lengths = Metric("opa_queue_length", "Messages that wait in a queue.", "gauge")
            for name, count in self._lengths.items():
                if name != DEAD:
                    lengths.add_sample("opa_queue_length", {"queue": name}, count)
            yield lengths
            dead = Metric("opa_dead_letters", "Tasks that were given up or refused, and are kept.", "gauge")
            dead.add_sample("opa_dead_letters", {}, self._lengths.get(DEAD, 0))
            yield dead

    def _has_tasks(self) -> bool:
        manager = get_plugin_manager()
        if manager.mode not in ("worker", "beat"):
            return False  # each api would ask for the same
        return any(state.driver is not None and state.driver.runs_tasks for state in manager.component_states.values())

    def _ask(self) -> None:
        try:
            self._lengths = queue_lengths()
            self._known_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 - each kind of broker has its own
            if time.monotonic() - self._told_at > TOLD_EVERY:
                self._told_at = time.monotonic()
                log.warning(f"the metrics lack the lengths of the queues: the broker does not answer: {error}")
