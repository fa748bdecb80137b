from __future__ import annotations

import pytest

from opa._util.words import kind_of


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (name.split()[-1], name)
        for name in (
            "an int",
            "a list",
            "a str",
            "an APIRouter",
            "a Middleware",
            "an HTTPBearer",
            "a UUID",
            "a URL",
            "a FastAPI",
            "a NoneType",
            "a Path",
            "an Enum",
            "a user",
            "an ASGIApp",
            "an OSError",
        )
    ],
)
def test_a_type_has_the_article_that_it_is_spoken_with(name: str, told: str) -> None:
    assert kind_of(type(name, (), {})()) == told


def test_a_class_is_told_by_its_name() -> None:
    assert kind_of(Exception) == "the class Exception"
