"""What a worker could not write to redis, because it was gone or could not write: kept here until it can.

Nothing is lost that stays here: redis holds the message, and gives it to another worker after its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opa.logging.logger import log


@dataclass
class Debts:
    """What is to be written as soon as the server takes it.

    Attributes:
        held: tags of messages that go back to their queue: their tasks were ended or not begun, or they did not arrive.
        done: tags of messages whose acknowledgement could not be written.
        refused: tags of messages that could not be put among the dead letters.
    """

    held: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def pay(self, channel: Any) -> None:
        """Write it; what cannot be written stays.

        Raises:
            redis.RedisError: the server does not answer, or cannot write.
        """
        self._take_late(channel.qos)
        while self.done:
            channel.qos.drop_note(self.done[-1]).execute()
            self.done.pop()
        while self.refused:
            channel.qos.bury(self.refused[-1])
            self.refused.pop()
        while self.held:
            channel.qos.restore_by_tag(self.held[-1])
            self.held.pop()

    def take_over(self, channels: Iterable[Any]) -> None:
        """Add what the channels of a connection leave that is given up.

        Kombu would give messages back as it closes the connection; that fails, and the worker would end with an error.
        """
        for channel in channels:
            self.held += channel.stray_tags()
            qos = channel.qos_if_used
            if qos is not None:
                self.held += qos.let_all_go()
                self._take_late(qos)
        self.held = list(dict.fromkeys(self.held))

    def _take_late(self, qos: Any) -> None:
        late, qos.late = qos.late, []
        self.done += late
        refused, qos.late_refused = qos.late_refused, []
        self.refused += refused

    def say_what_stays(self) -> None:
        """Called when the worker ends."""
        if late := len(self.held) + len(self.done) + len(self.refused):
            log.warning(
                f"{late} tasks of this worker run once more when TASK_VISIBILITY_TIMEOUT has passed:"
                " redis does not take what this worker has to say of them"
            )
