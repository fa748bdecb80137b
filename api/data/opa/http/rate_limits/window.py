"""The sliding window by which requests are counted, in this process and in redis alike.

At most so many in any such time: a counter that starts anew each minute would let twice as many through around its
start, and one that fills up again steadily too. So it is remembered when the requests were. To remember a million of
them one by one would take too much, so the window is a thousand slots with a number in each, and a slot counts until
all of it has left the window: never are there more than the limit in any window, and a place is free again at most a
thousandth of the window later than it might be.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from opa._util.rates import Rate

SLOTS: Final = 1000
"""Of a window; it is a millisecond and more that each of them is long."""
MAX_ENTRIES = 2_000_000
"""What a process remembers of all callers together: numbers of requests in slots, of 16 bytes each."""
ENTRIES_OF_CALLER = 30
"""What a caller takes besides, in as many entries."""


class Demand(NamedTuple):
    """A request wants to count under this key."""

    key: bytes
    rate: Rate


class State(NamedTuple):
    """What is left of a limit.

    Attributes:
        remaining: requests that may follow at once.
        seconds: until there is one more.
    """

    remaining: int
    seconds: float


class Outcome(NamedTuple):
    """Whether a request may pass, and the state of each limit that it was counted by, in the order of the demands."""

    passes: bool
    states: Sequence[State]


class _Window:
    """The requests of one caller in one window.

    Attributes:
        total: how many they are.
        expires: when none of them counts any more.
    """

    __slots__ = ("_slots", "expires", "total")

    def __init__(self) -> None:
        self._slots = array("q")  # each slot, and how many requests were in it
        self.total = 0
        self.expires = 0.0

    def __len__(self) -> int:
        return len(self._slots) // 2

    @property
    def oldest(self) -> int | None:
        """The first slot that counts."""
        return self._slots[0] if self._slots else None

    def forget_before(self, slot: int) -> None:
        """Take out what is of an earlier slot."""
        slots, end = self._slots, 0
        while end < len(slots) and slots[end] < slot:
            self.total -= slots[end + 1]
            end += 2
        del slots[:end]

    def add(self, slot: int) -> None:
        """Count one."""
        self.total += 1
        if self._slots and self._slots[-2] >= slot:
            self._slots[-1] += 1
        else:
            self._slots.extend((slot, 1))


class LocalCounts:
    """Counts in the memory of this process.

    Where there is too much to remember, those callers are forgotten who have not been here for the longest time.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._windows: OrderedDict[bytes, _Window] = OrderedDict()
        self._entries = 0
        self._max_entries = max_entries

    def take(self, demands: Sequence[Demand], now: float) -> Outcome:
        """Count a request, where all of its limits let it pass, or else by none.

        Args:
            demands: a key and a rate for each.
            now: seconds of a clock that does not go back.
        """
        self._forget_expired(2 * len(demands), now)
        found = [(demand.rate, self._window(demand, now)) for demand in demands]
        passes = all(window.total < rate.amount for rate, window in found)
        if passes:
            for rate, window in found:
                self._entries -= len(window)
                window.add(_slot(rate, now))
                window.expires = now + rate.seconds * (1 + 1 / SLOTS)
                self._entries += len(window)
        states = [_state(rate, window, now) for rate, window in found]
        while self._entries > self._max_entries:
            self._forget_oldest()
        return Outcome(passes, states)

    def _window(self, demand: Demand, now: float) -> _Window:
        window = self._windows.get(demand.key)
        if window is None:
            window = self._windows[demand.key] = _Window()
            self._entries += ENTRIES_OF_CALLER
        else:
            self._windows.move_to_end(demand.key)
            self._entries -= len(window)
            window.forget_before(_slot(demand.rate, now) - SLOTS)
            self._entries += len(window)
        return window

    def _forget_expired(self, at_most: int, now: float) -> None:
        for _ in range(at_most):
            oldest = next(iter(self._windows.values()), None)
            if oldest is None or oldest.expires > now:
                return
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, window = self._windows.popitem(last=False)
        self._entries -= len(window) + ENTRIES_OF_CALLER


def _slot(rate: Rate, now: float) -> int:
    return math.floor(now * SLOTS / rate.seconds)


def _state(rate: Rate, window: _Window, now: float) -> State:
    if window.oldest is None:  # another limit has refused the request
        return State(rate.amount, 0.0)
    left_at = (window.oldest + SLOTS + 1) * rate.seconds / SLOTS
    return State(max(0, rate.amount - window.total), max(0.0, left_at - now))
