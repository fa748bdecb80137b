from __future__ import annotations

from collections.abc import Sized

import pytest

from opa.http.routing.index import ANY, RouteIndex, Shape


def index_of(*shapes: Shape) -> RouteIndex[int]:
    index: RouteIndex[int] = RouteIndex()
    for number, shape in enumerate(shapes):
        index.add(shape, number)
    return index


def test_only_what_has_the_same_texts_is_found() -> None:
    index = index_of(Shape(("a", "b")), Shape(("a", "c")), Shape(("a",)), Shape(("a", "b", "c")))
    assert index.candidates("/a/b") == [0]
    assert index.candidates("/a") == [2]
    assert index.candidates("/b") == []
    assert index.candidates("/a/b/c/d") == []


def test_any_text_may_stand_in_a_gap() -> None:
    index = index_of(Shape(("a", None)), Shape((None, "b")), Shape(("a", "b")))
    assert index.candidates("/a/b") == [0, 1, 2]
    assert index.candidates("/a/x") == [0]
    assert index.candidates("/x/b") == [1]
    assert index.candidates("/x/x") == []


def test_behind_an_open_end_may_be_anything() -> None:
    index = index_of(Shape(("a",), is_open=True), Shape(("a", "b")), ANY)
    assert index.candidates("/a") == [0, 2]
    assert index.candidates("/a/b") == [0, 1, 2]
    assert index.candidates("/a/b/c") == [0, 2]
    assert index.candidates("/b") == [2]


def test_all_comes_in_the_order_in_which_it_was_added() -> None:
    shapes = [Shape((None, "b")), Shape(("a", "b")), ANY, Shape(("a",), is_open=True), Shape((None, None))]
    assert index_of(*shapes, *reversed(shapes)).candidates("/a/b") == list(range(10))


@pytest.mark.parametrize("path", ["/a/b", "/a/b/", "/a/b//", "/a/b\n", "/a/b/\n"])
def test_slashes_at_the_end_and_a_line_break_do_not_count(path: str) -> None:
    assert index_of(Shape(("a", "b"))).candidates(path) == [0]


def test_a_line_break_is_also_a_text_like_others() -> None:
    index = index_of(Shape(("a", None)), Shape(("a",)), Shape(("a\n",)))
    assert index.candidates("/a/\n") == [0, 1]
    assert index.candidates("/a\n") == [1, 2]


@pytest.mark.parametrize("path", ["//a", "a", "/a//b", "/A", "/a\n\n"])
def test_other_spellings_are_other_paths(path: str) -> None:
    assert index_of(Shape(("a",)), Shape(("a", "b"))).candidates(path) == []


@pytest.mark.parametrize("path", ["", "/", "//", "a", "*"])
def test_no_text_at_all_finds_what_has_none(path: str) -> None:
    assert index_of(Shape(()), ANY, Shape(("a",))).candidates(path) == [0, 1]


def test_two_paths_find_what_each_finds_once() -> None:
    index = index_of(Shape(("b",)), Shape((None,)), Shape(("a",)), ANY)
    assert index.candidates("/a", "/b") == [0, 1, 2, 3]
    assert index.candidates("/a", "/a\n") == [1, 2, 3]


def test_a_path_that_is_added_to_the_index_later_is_found_too() -> None:
    index = index_of(Shape(("a",)))
    assert index.candidates("/a") == [0]
    index.add(Shape(("a",)), 1)
    index.add(ANY, 2)
    assert index.candidates("/a") == [0, 1, 2]


@pytest.mark.parametrize("shape", [Shape(("a",)), Shape((None,)), ANY, Shape(("a",), is_open=True)])
def test_a_path_that_was_found_already_finds_what_comes_later_too(shape: Shape) -> None:
    index = index_of(Shape(("a",)), Shape(("b", None)))
    for path in ("/a", "/a/", "/b/1"):
        assert index.candidates(path) == index.candidates(path) == [0 if path[1] == "a" else 1]
    index.add(shape, 2)
    assert index.candidates("/a") == index.candidates("/a/") == [0, 2]


def test_paths_that_clients_make_up_are_not_remembered() -> None:
    index = index_of(Shape(("a",)), Shape(("b", None)))
    before = kept_by(index)
    for number in range(1000):
        for path in (f"/b/{number}", f"/c/{number}", "/a" + "/" * number, f"/a/{number}"):
            index.candidates(path)
    assert kept_by(index) - before <= 1


def kept_by(index: RouteIndex[int]) -> int:
    """How many values its attributes hold."""
    return sum(len(value) for value in vars(index).values() if isinstance(value, Sized))
