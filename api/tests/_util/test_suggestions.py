from __future__ import annotations

import pytest

from opa._util.suggestions import LOOSE_SIMILARITY, misspelt, nearest


def test_the_nearest_name_is_told_and_none_where_nothing_is_near() -> None:
    assert nearest("orders", ["order", "folders", "users"]) == "order"
    assert nearest("orders", ["invoices"]) is None


def test_fewer_letters_have_to_be_equal_where_a_loose_guess_does() -> None:
    assert nearest("stage", ["staging"]) is None
    assert nearest("stage", ["staging"], LOOSE_SIMILARITY) == "staging"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("PRELAOD", "PRELOAD"), ("RELOD", "RELOAD"), ("HOTS", "HOST"), ("HOSE", None), ("PORTS", "PORT")],
)
def test_a_short_name_is_a_slip_only_with_all_the_letters(name: str, meant: str | None) -> None:
    assert misspelt(name, ["PRELOAD", "RELOAD", "HOST", "PORT"]) == meant
