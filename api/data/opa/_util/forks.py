"""Methods that are called around a fork as long as their object is there: `os.register_at_fork` keeps them for ever."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakMethod

from opa.current import current

Method = Callable[[], Any]


class _Methods:
    def __init__(self, methods: dict[str, Method]) -> None:
        self._methods = {when: WeakMethod(method) for when, method in methods.items()}

    def are_gone(self) -> bool:
        return all(method() is None for method in self._methods.values())

    def call(self, when: str) -> None:
        reference = self._methods.get(when)
        method = None if reference is None else reference()
        if method is not None:
            method()


def at_fork(
    *, before: Method | None = None, after_in_parent: Method | None = None, after_in_child: Method | None = None
) -> None:
    """Have methods of an object called around each fork of this process, as long as the object is there.

    Of several, that which was registered last is called first before a fork, and last after it. Where there are no
    forks, as on Windows, nothing is called.

    Args:
        before: bound methods, without arguments.
        after_in_parent: the same.
        after_in_child: the same.

    Raises:
        TypeError: one of them is no bound method.
    """
    methods = {"before": before, "after_in_parent": after_in_parent, "after_in_child": after_in_child}
    found = _Methods({when: method for when, method in methods.items() if method is not None})
    if not hasattr(os, "register_at_fork"):
        return
    if current.at_fork is None:
        current.at_fork = []
        os.register_at_fork(  # noqa: TID251 - once in a process
            before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
        )
    for each in tuple(current.at_fork):
        if each.are_gone():
            current.at_fork.remove(each)
    current.at_fork.append(found)


def _before() -> None:
    _call(reversed(current.at_fork or ()), "before")


def _after_in_parent() -> None:
    _call(current.at_fork or (), "after_in_parent")


def _after_in_child() -> None:
    _call(current.at_fork or (), "after_in_child")


def _call(all_methods: Iterable[_Methods], when: str) -> None:
    """Call all, also where one fails; Python writes the first error to standard error."""
    failure: BaseException | None = None
    for methods in tuple(all_methods):
        try:
            methods.call(when)
        except Exception as error:  # noqa: BLE001 - the others have locks to give back
            failure = failure or error
    if failure is not None:
        raise failure
