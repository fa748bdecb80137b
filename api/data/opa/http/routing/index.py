"""Which of many routes can match a path: an index over the segments of their paths.

It leaves out what cannot match, and never says that something does: that is for the routes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Shape(NamedTuple):
    """What all paths have in common that something matches; slashes at their ends aside.

    Attributes:
        segments: the texts between slashes, from the first slash on; `None` where it may be any text without a slash.
        is_open: whether more may follow them.
    """

    segments: tuple[str | None, ...]
    is_open: bool = False


ANY = Shape((), is_open=True)
_NOTHING: dict[Any, Any] = {}


class _Node(Generic[T]):
    """Where a leading part of shapes ends.

    Attributes:
        literals: the nodes one segment on, by its text.
        any: the one for any text.
        closed: what ends here, by its number in the order of adding.
        open: what goes on with anything.
        is_exact: whether all segments up to here are texts.
    """

    __slots__ = ("any", "closed", "is_exact", "literals", "open")

    def __init__(self, *, is_exact: bool) -> None:
        self.is_exact = is_exact
        # Most nodes have one of these alone; empty ones of their own would be most of the index.
        self.literals: dict[str, _Node[T]] = _NOTHING
        self.any: _Node[T] | None = None
        self.closed: dict[int, T] = _NOTHING
        self.open: dict[int, T] = _NOTHING

    def under(self, segment: str | None) -> _Node[T]:
        """The node one segment on, made where there is none."""
        if segment is None:
            self.any = self.any or _Node(is_exact=False)
            return self.any
        node = self.literals.get(segment)
        if node is None:
            node = _Node(is_exact=self.is_exact)
            self.literals = _with(self.literals, segment, node)
        return node


K = TypeVar("K")
V = TypeVar("V")


def _with(given: dict[K, V], key: K, value: V) -> dict[K, V]:
    """The dict with the value; a new one in place of that which all nodes share."""
    if given is _NOTHING:
        return {key: value}
    given[key] = value
    return given


class RouteIndex(Generic[T]):
    """Things with a shape, found by path in the order in which they were added.

    One thread may add while others look: they find what was there before, and perhaps what is being added.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node(is_exact=True)
        self._count = 0
        # For paths that are those of routes, letter for letter, so that there are no more of them than routes.
        self._exact: dict[str, list[T]] = {}

    def add(self, shape: Shape, thing: T) -> None:
        """Put `thing` behind those that are there."""
        node = self._root
        for segment in shape.segments:
            node = node.under(segment)
        if shape.is_open:
            node.open = _with(node.open, self._count, thing)
        else:
            node.closed = _with(node.closed, self._count, thing)
        self._count += 1
        self._exact.clear()

    def candidates(self, path: str, other: str | None = None) -> list[T]:
        """All things that may match `path`, or `other`, however many slashes it ends with, and some that do not.

        The list may be given again to others.
        """
        if other is not None:
            return self._all(path.rstrip("/"), other)
        found = self._exact.get(path)
        if found is not None:
            return found
        key = path.rstrip("/")
        if "\n" not in key:
            # As nearly always there is one way to go, which is no call for each segment.
            node = self._root
            for segment in key.split("/")[1:]:
                if node.open:
                    break
                below = node.literals.get(segment)
                if below is None:
                    below = node.any
                    if below is None:
                        return []
                elif node.any is not None:
                    break
                node = below
            else:
                if not node.open:
                    found = list(node.closed.values())
                    if node.is_exact and found and path == key:
                        self._remember(path, found)
                    return found
        return self._all(key, other)

    def _remember(self, path: str, found: list[T]) -> None:
        self._exact[path] = found
        if self._all(path, None) != found:  # another thread has added something
            self._exact.clear()

    def _all(self, key: str, other: str | None) -> list[T]:
        ends: list[dict[int, T]] = []
        _find(self._root, key.split("/"), 1, ends)
        if other is not None or key[-1:] == "\n":
            for rare in _rare_keys(key, other):
                _find(self._root, rare.split("/"), 1, ends)
        if len(ends) == 1:
            return list(ends[0].values())
        found: dict[int, T] = {}
        for end in ends:
            found.update(end)
        return [found[number] for number in sorted(found)]


def _rare_keys(key: str, other: str | None) -> Iterator[str]:
    """What else to look for than `key`."""
    keys = [key] if other is None else [key, other.rstrip("/")]
    yield from keys[1:]
    for each in keys:
        if each.endswith("\n"):  # `$` in a pattern is also true before a line break at the end
            yield each[:-1].rstrip("/")


def _find(node: _Node[T], segments: list[str], place: int, ends: list[dict[int, T]]) -> None:
    """Collect what ends under `node` for the segments from `place` on."""
    for segment in segments[place:]:
        place += 1
        if node.open:
            ends.append(node.open)
        below = node.literals.get(segment)
        if node.any:
            if below:
                _find(below, segments, place, ends)
            below = node.any
        if not below:
            return
        node = below
    if node.open:
        ends.append(node.open)
    if node.closed:
        ends.append(node.closed)
