"""Texts such as `report:{id}`."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections import OrderedDict
from enum import Enum
from uuid import UUID

import pytest
from pydantic import BaseModel

from opa.tasks.limits.templates import MAX_LENGTH, Template

HOSTILE = ["\x00\n", "ünï", "a b", "{id}", "%41", "x" * 10_000, "\ud800", "*", ":", "\u202e"]


class Color(Enum):
    RED = "red"


class Item(BaseModel):
    name: str
    size: int = 1


@dataclasses.dataclass
class Box:
    colors: set[str]


def render(text: str, **values: object) -> str:
    return Template.parse(text, list(values)).render(values)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_key_is_short_and_printable_whatever_the_value(value: str) -> None:
    key = render("report:{id}", id=value)
    assert key.isprintable()
    assert key.isascii()
    assert len(key) <= MAX_LENGTH


def test_different_values_have_different_keys() -> None:
    values = [
        *HOSTILE,
        b"\xff",
        b"\xfe",
        [b"\xff"],
        {"a": b"\xff"},
        "x" * 10_001,
        "A",
        "a",
        "",
        1,
        1.5,
        None,
        True,
        [1],
        [1, 2],
        {"a": 1},
        "{}",
    ]
    assert len({render("{id}", id=value) for value in values}) == len(values)
    assert render("{a}{b}", a="1", b="23") != render("{a}{b}", a="12", b="3")
    assert render("{a}-{b}", a="1-2", b="3") != render("{a}-{b}", a="1", b="2-3")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        ({"a": 1, "b": 2}, OrderedDict(b=2, a=1)),
        ({"a", "b", "c"}, frozenset({"c", "b", "a"})),
        (Color.RED, "red"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Item(name="x"), {"name": "x", "size": 1}),
        ([Box({"a", "b"})], [{"colors": frozenset({"b", "a"})}]),
    ],
)
def test_what_is_the_same_has_the_same_key(one: object, other: object) -> None:
    assert render("{id}", id=one) == render("{id}", id=other)


SETS = """
from pydantic import BaseModel
from opa.tasks.limits.templates import Template

class Item(BaseModel):
    colors: set[str]

letters = set("abcdefgh")
given = [letters, [letters], {"a": (letters,)}, Item(colors=letters), {1: {"b": [Item(colors=letters)]}}]
print([Template.parse("{a}", ["a"]).render({"a": value}) for value in given])
"""


def test_a_value_has_the_same_key_in_each_process_wherever_it_has_a_set() -> None:
    keys = {
        subprocess.run(
            [sys.executable, "-c", SETS], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{user}", r"has the field \{user\}, which is not a parameter of the task; it has id, name"),
        ("{id.__class__}", "a field is the plain name of a parameter"),
        ("{id[0]}", "a field is the plain name of a parameter"),
        ("{id!r}", "a field is the plain name of a parameter"),
        ("{id:>9}", "a field is the plain name of a parameter"),
        ("{}", "a field is the plain name of a parameter"),
        ("{0}", "a field is the plain name of a parameter"),
        ("{id", "cannot be read"),
        ("}", "cannot be read"),
        ("", "should be a text"),
        (7, "should be a text"),
    ],
)
def test_a_template_of_no_use_is_refused(text: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Template.parse(text, ["id", "name"])
