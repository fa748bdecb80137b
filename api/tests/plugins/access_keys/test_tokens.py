"""What an API key looks like."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from opa.plugins.access_keys.tokens import PATTERN, PREFIX, id_in, new_id, new_token

KEY = new_token("AbCdEf123456")
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_key_names_its_id_and_is_what_scanners_look_for() -> None:
    key_id = new_id()
    token = new_token(key_id)

    assert id_in(token) == key_id
    assert re.fullmatch(PATTERN, token)
    assert token.startswith(f"opa_{key_id}")


def test_a_key_of_before_is_read_for_ever() -> None:
    """The form is not to change: keys are in use for years, and scanners know them by it."""
    assert id_in("opa_" + "O2y4Tsq9pkmNfGElo3KnjVkwhIwSkxibmwsImFBh1ESNxIKUpdaZQcq3I3Qn4") == "O2y4Tsq9pkmN"


def test_no_two_keys_are_alike() -> None:
    assert len({new_token("AbCdEf123456") for _ in range(50)}) == 50
    assert len({new_id() for _ in range(50)}) == 50


@given(position=st.integers(0, len(KEY) - 1), letter=st.sampled_from(LETTERS))
def test_a_letter_that_is_wrong_is_noticed(position: int, letter: str) -> None:
    changed = f"{KEY[:position]}{letter}{KEY[position + 1 :]}"

    assert (id_in(changed) is None) == (changed != KEY)


@given(st.text() | st.text(alphabet=LETTERS, min_size=55, max_size=70).map(lambda text: PREFIX + text))
def test_any_other_text_is_no_key(text: str) -> None:
    assert id_in(text) is None


@given(before=st.text(max_size=3), after=st.text(max_size=3))
def test_a_key_with_something_around_it_is_none(before: str, after: str) -> None:
    assert id_in(f"{before}{KEY}{after}") == (None if before or after else "AbCdEf123456")
