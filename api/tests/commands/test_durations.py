"""Durations on the command line."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from opa.commands.durations import duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90d", timedelta(days=90)),
        ("24h", timedelta(days=1)),
        ("30m", timedelta(minutes=30)),
        ("5s", timedelta(seconds=5)),
        ("2w", timedelta(days=14)),
        ("0", timedelta()),
    ],
)
def test_a_duration_is_a_number_and_its_unit(text: str, length: timedelta) -> None:
    assert duration(text, "--expires") == length


@pytest.mark.parametrize(
    "text", ["", "d", "90", "-1d", "1.5d", "1y", "90 d", "90D", "٣d", "1d1h", "9" * 12 + "s", "36501d"]
)
def test_a_text_that_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not a duration such as 90d"):
        duration(text, "--expires")


@given(st.from_regex(r"\A[0-9]{1,12}[smhdw]\Z"))
def test_a_long_one_is_refused_or_within_its_bounds(text: str) -> None:
    with suppress(typer.BadParameter):
        assert timedelta() <= duration(text, "--expires") <= timedelta(days=36_500)
