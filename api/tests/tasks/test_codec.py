"""What arrives equals what was sent, and what is too much is refused."""

from __future__ import annotations

import math
import os
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.serialization import dumps, loads

from opa._util.nesting import deeper_than
from opa.settings.schema import MAX_TASK_DEPTH
from opa.tasks.codec import Limits, Sending, UnfitError, encode, marked_arguments
from opa.tasks.marks import Marked, TooLargeError
from opa.tasks.serializer import decode

KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.sampled_from(["__type__", "__value__"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters())
LOOKALIKES = st.fixed_dictionaries(
    {"__type__": st.sampled_from(["decimal", "datetime", "dict", "x", 5]), "__value__": SCALARS}
)
VALUES = st.recursive(
    SCALARS | LOOKALIKES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.fixed_dictionaries({"__type__": inner, "__value__": inner})
    ),
    max_leaves=20,
)


# More of them by hand: FUZZ_EXAMPLES=20000 python -m pytest …
@settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), deadline=None)
@given(VALUES)
def test_json_of_any_kind_arrives_as_it_was_sent(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "decimal", "__value__": "1"},
        {"__type__": "nobody", "__value__": [1]},
        {"__type__": "dict", "__value__": ["a", 1]},
        {"__type__": {"__type__": "uuid", "__value__": 1}, "__value__": None},
        {1: "one", None: "none", False: "no", 1.5: "more"},
        "\ud800",
        "\u2028\x00",
        2**200,
        math.inf,
        Decimal("1.10"),
        UUID(int=5),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        date(2026, 1, 2),
        time(3, 4, 5),
        b"\xff\x00",
        {"a": [{UUID(int=1): Decimal("2")}]},
    ],
    ids=repr,
)
def test_values_of_common_types_arrive_with_their_type(value: Any) -> None:
    arrived = decode(encode([value]))[0]
    assert arrived == value
    assert type(arrived) is type(value)


def test_encoded_arguments_are_json_for_celery() -> None:
    content_type, encoding, body = dumps({"__type__": "x", "__value__": 1}, serializer="json")
    assert content_type == "application/json"
    assert loads(body, content_type, encoding, accept={"application/json"}) == {"__type__": "x", "__value__": 1}


def test_values_that_other_senders_mark_with_kombu_are_read() -> None:
    assert decode('{"__type__": "decimal", "__value__": "1"}') == Decimal("1")


def test_a_dict_that_only_looks_like_a_marked_value_of_other_senders_stays_a_dict() -> None:
    for text in ('{"__type__": "os.system", "__value__": "true"}', '{"__type__": [1], "__value__": 1}'):
        assert set(decode(text)) == {"__type__", "__value__"}


@pytest.mark.parametrize("value", [{(1, 2): 3}, {1}, object(), [float], {"a": {frozenset(): 1}}])
def test_a_value_that_would_not_arrive_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TooLargeError):
        encode(endless)


def nested(levels: int, *, kind: type = list) -> Any:
    value: Any = kind()
    for _ in range(levels - 1):
        value = [value] if kind is list else {"a": value}
    return value


@pytest.mark.parametrize("kind", [list, dict])
def test_an_argument_may_have_as_many_levels_as_the_limit(kind: type) -> None:
    with Sending(Limits(depth=100)):
        encode(([nested(100, kind=kind)], {}, {}))
        with pytest.raises(TooLargeError, match="TASK_MAX_DEPTH is 100"):
            encode(([nested(101, kind=kind)], {}, {}))


def test_more_bytes_than_the_limit_are_refused() -> None:
    with Sending(Limits(bytes=100)):
        encode("x" * 98)
        with pytest.raises(TooLargeError, match="101 bytes, and TASK_MAX_BYTES is 100"):
            encode("x" * 99)


def test_no_limit_holds_outside_but_that_of_python() -> None:
    encode("x" * 2_000_000)
    with pytest.raises(TooLargeError, match="202 is the limit"):
        encode(nested(MAX_TASK_DEPTH + 3))


@pytest.mark.parametrize("levels", [1, 2, 50])
@pytest.mark.parametrize("kind", [list, dict])
def test_levels_are_counted(levels: int, kind: type) -> None:
    value = nested(levels, kind=kind)
    assert not deeper_than(levels, value)
    assert deeper_than(levels - 1, value)
    assert not deeper_than(levels, [1, "two", *nested(levels, kind=list)])


def test_deep_json_of_a_client_is_seen_without_recursion() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert deeper_than(100, value)
    with pytest.raises(TooLargeError):
        encode(value)
    while value:  # to be freed level by level
        value = value[0]


LOOKS_LIKE_A_MARK = {"__type__": "tuple", "__value__": [1]}


def test_arguments_may_have_the_names_of_a_mark() -> None:
    for arguments in (
        LOOKS_LIKE_A_MARK,
        {"__type__": "decimal", "__value__": "1"},
        {"__type__": (1,), "__value__": None},
    ):
        signature: dict[str, object] = {
            "task": "a.kw",
            "args": [],
            "kwargs": arguments,
            "subtask_type": None,
            "options": {"headers": LOOKS_LIKE_A_MARK},
        }
        chain = {"chain": [signature], "callbacks": None}
        with Sending(Limits(), "a.kw"):
            assert decode(encode(((), arguments, chain))) == [[], arguments, chain]
        assert decode(encode({"kwargs": Marked(marked_arguments((), arguments, "a.kw", lambda _: None)[1])})) == {
            "kwargs": arguments
        }


def test_a_name_of_an_argument_that_is_no_text_is_refused() -> None:
    for kwargs in ({1: 2}, {None: (1,)}):
        with Sending(Limits(), "a.kw"), pytest.raises(UnfitError, match="a name is a text"):
            encode(((), kwargs, {}))


def test_the_name_of_an_argument_may_be_an_enum_that_is_a_text() -> None:
    class Name(str, Enum):  # noqa: UP042 - a StrEnum has no other text for show
        PAGES = "pages"

    with Sending(Limits(), "a.kw"):
        assert decode(encode(((), {Name.PAGES: (1,)}, {}))) == [[], {"pages": (1,)}, {}]
