"""What the classes of `opa/_compat/` override is there in the packages, and no plain name hides one of theirs."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from typing import Any

import pytest

import opa._compat
from tests._compat.shapes import own_classes

CLASSES = [
    cls
    for found in pkgutil.walk_packages(opa._compat.__path__, "opa._compat.")
    for cls in own_classes(import_module(found.name))
]
OF_OBJECTS = frozenset(dir(object))


def name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def upstream(cls: type, name: str) -> Any:
    """What the packages have under a name; None where they have nothing."""
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("opa.") and name in vars(base):
            return vars(base)[name]
    return None


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_each_private_method_that_is_overridden_is_there(cls: type) -> None:
    private = [name for name, value in vars(cls).items() if name.startswith("_") and inspect.isfunction(value)]
    ours = [name for name in private if name not in OF_OBJECTS and not hasattr(opa._compat, name)]
    assert [name for name in ours if upstream(cls, name) is None] == []


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_each_private_method_takes_what_it_is_called_with(cls: type) -> None:
    for name, value in vars(cls).items():
        theirs = upstream(cls, name)
        if name in OF_OBJECTS or not (inspect.isfunction(value) and inspect.isfunction(theirs)):
            continue
        ours = list(inspect.signature(value).parameters.values())
        takes_names = any(each.kind is each.VAR_KEYWORD for each in ours)
        takes_more = any(each.kind is each.VAR_POSITIONAL for each in ours)
        for place, each in enumerate(inspect.signature(theirs).parameters.values()):
            if each.kind in {each.VAR_KEYWORD, each.VAR_POSITIONAL}:
                assert takes_names if each.kind is each.VAR_KEYWORD else takes_more, (name, each)
            elif place == 0:  # itself
                continue
            elif each.kind is each.KEYWORD_ONLY:
                assert takes_names or each.name in inspect.signature(value).parameters, (name, each)
            else:
                is_there = place < len(ours) and ours[place].kind is each.kind
                assert is_there or takes_names or takes_more, (name, each)


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_no_plain_name_hides_one_of_the_package(cls: type) -> None:
    plain = [name for name in vars(cls) if not name.startswith("_")]
    assert [name for name in plain if upstream(cls, name) is not None] == []
