from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opa._util.objects import attribute, is_a


class Proxy:
    """Stands for a text."""

    @property
    def __class__(self) -> Any:
        return str

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class OddType(type):
    def __hash__(cls) -> int:
        raise RuntimeError


class OfOddType(metaclass=OddType):
    @property
    def name(self) -> str:
        raise RuntimeError


def test_an_object_is_what_its_type_is() -> None:
    assert is_a({}, Mapping)
    assert is_a(True, int)
    assert isinstance(Proxy(), str)
    assert not is_a(Proxy(), str)
    assert not is_a(OfOddType(), Mapping), "its type cannot be asked"


def test_an_attribute_that_raises_is_not_there() -> None:
    assert attribute(OfOddType(), "name", "nobody") == "nobody"
    assert attribute("x", "nothing") is None
    assert attribute(1, "real") == 1
