"""Rates as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opa._util.rates import MAX_AMOUNT, MAX_SECONDS, UNITS, Rate, rates_in


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("100/minute", [(100, 60)]),
        ("100 per minute", [(100, 60)]),
        (" 10 / 5 Minutes ", [(10, 300)]),
        ("1/1 second", [(1, 1)]),
        ("5/second;100/minute", [(5, 1), (100, 60)]),
        ("1000/day, 5/second", [(5, 1), (1000, 86_400)]),
        ("1000 per 24 hours", [(1000, 86_400)]),
    ],
)
def test_rates_are_read_the_shortest_first(text: str, rates: list[tuple[int, int]]) -> None:
    assert [tuple(rate) for rate in rates_in(text)] == rates


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "100",
            "/",
            "100/",
            "/minute",
            "100/minut",
            "100/minutess",
            "100/month",
            "100 minute",
            "100perminute",
        ),
        *("0/minute", "-1/minute", "1.5/minute", "1e9/second", "٣/minute", "99999999999/second", "1/0 seconds"),
        *(
            "1/367 days",
            "5/second;",
            ";",
            "5/second;;1/day",
            "5/second;6/second",
            "1/60 seconds;1/minute",
            "1/minute\n2/day",
        ),
        *(None, 100, True, b"1/minute", ["1/minute"], {"limit": "1/minute"}),
    ],
)
def test_a_text_that_is_no_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="^should "):
        rates_in(text)


amounts = st.integers(1, MAX_AMOUNT)
lengths = st.sampled_from(list(UNITS)).flatmap(
    lambda unit: st.integers(1, MAX_SECONDS // UNITS[unit]).map(lambda count: count * UNITS[unit])
)
rates = st.builds(Rate, amounts, lengths)


@given(st.lists(rates, min_size=1, max_size=4, unique_by=lambda rate: rate.seconds))
def test_the_text_of_rates_gives_them_again(several: list[Rate]) -> None:
    assert sorted(several, key=lambda rate: rate.seconds) == list(rates_in("; ".join(map(str, several))))


@given(st.text() | st.from_regex(r"[0-9]* ?(/|per) ?[0-9]* ?[a-z]*(;[0-9]+/day)?", fullmatch=True))
def test_any_text_is_a_rate_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        found = rates_in(text)
        assert all(1 <= rate.amount <= MAX_AMOUNT and 1 <= rate.seconds <= MAX_SECONDS for rate in found)
