"""Which scopes cover which."""

from __future__ import annotations

import pytest

from opa.access.scopes import covers, missing


@pytest.mark.parametrize(
    ("held", "scope"),
    [
        ("shop:write", "shop:write"),
        ("shop:*", "shop:write"),
        ("shop:*", "shop:orders:write"),
        ("shop:orders:*", "shop:orders:write"),
        ("*", "shop:write"),
        ("*", "anything"),
        ("*", "*"),
        ("shop:*", "shop:*"),
    ],
)
def test_a_scope_covers_itself_and_a_star_covers_all_below_it(held: str, scope: str) -> None:
    assert covers({held}, scope)


@pytest.mark.parametrize(
    ("held", "scope"),
    [
        ("shop:write", "shop:read"),
        ("shop:write", "shop:*"),
        ("shop:write", "*"),
        ("shop:*", "*"),
        ("shop:*", "shop"),
        ("shop:*", "shopping:write"),
        ("shop", "shop:write"),
        ("shop*", "shop:write"),
        ("shop:*:read", "shop:orders:read"),
        ("*:read", "shop:read"),
        ("SHOP:WRITE", "shop:write"),
        ("", "shop:write"),
        (":*", "shop:write"),
    ],
)
def test_a_scope_does_not_cover_others(held: str, scope: str) -> None:
    assert not covers({held}, scope)


def test_all_that_is_missing_is_told_in_its_order() -> None:
    assert missing({"b", "d:*"}, ("c", "b", "a", "d:x")) == ("c", "a")
