"""Who is calling."""

from __future__ import annotations

from typing import Any

import pytest

from opa import Actor, OpaError


def test_an_actor_can_what_its_scopes_cover() -> None:
    actor = Actor("key:deploy", "key", frozenset({"shop:*", "stock:read"}))
    assert actor.can()
    assert actor.can("shop:write", "stock:read")
    assert not actor.can("shop:write", "stock:write")
    assert not Actor("key:other", "key").can("stock:read")


def test_claims_are_not_in_its_text() -> None:
    assert "planted" not in repr(Actor("a", "jwt", claims={"email": "planted"}))


def test_actors_can_stand_in_a_set() -> None:
    assert len({Actor("a", "jwt", claims={"x": 1}), Actor("a", "jwt", claims={"x": 1})}) == 1


@pytest.mark.parametrize("scopes", ["*", "shop:*", b"*", {"*": True}])
def test_a_text_is_no_set_of_scopes(scopes: Any) -> None:
    with pytest.raises(OpaError, match="the scopes of an Actor"):
        Actor("a", "key", scopes)


def test_scopes_may_come_in_any_collection() -> None:
    scopes: Any = ["a", "b", "a"]
    assert Actor("x", "key", scopes).scopes == {"a", "b"}


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[1m", "x" * 513, None, 7, b"a"])
def test_an_id_can_stand_in_a_line_of_the_log(name: Any) -> None:
    with pytest.raises(OpaError, match="the id of an Actor"):
        Actor(name, "key")
    with pytest.raises(OpaError, match="the kind of an Actor"):
        Actor("a", name)
