"""What is called around a fork."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

from opa import at_fork


class Counter:
    def __init__(self, name: str, calls: list[str], *, fails: bool = False) -> None:
        self.name, self.calls, self.fails = name, calls, fails
        at_fork(before=self.before, after_in_parent=self.in_parent, after_in_child=self.in_child)

    def before(self) -> None:
        self.calls.append(f"{self.name} before")

    def in_parent(self) -> None:
        self.calls.append(f"{self.name} in parent")
        if self.fails:
            raise ValueError("no")

    def in_child(self) -> None:
        self.calls.append(f"{self.name} in child")


def forked(calls: list[str]) -> str:
    """What was called in the child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, " ".join(calls).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as told:
        return told.read()


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*:DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_methods_are_called_around_each_fork_also_where_one_of_them_fails() -> None:
    calls: list[str] = []
    counters = [Counter("first", calls, fails=True), Counter("second", calls)]
    assert forked(calls) == "second before first before first in child second in child"
    assert calls == ["second before", "first before", "first in parent", "second in parent"]
    del counters


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_an_object_whose_methods_are_called_around_forks_is_not_kept_for_that() -> None:
    calls: list[str] = []
    counter = Counter("gone", calls)
    reference = weakref.ref(counter)
    del counter
    gc.collect()
    assert reference() is None
    assert forked(calls) == ""
