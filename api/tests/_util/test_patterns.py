"""Patterns are compiled when they are first asked, and are right."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import opa
from opa._util.patterns import lazy_pattern

PACKAGE = Path(opa.__file__).parent


def test_a_lazy_pattern_answers_as_a_compiled_one() -> None:
    text, lazy, compiled = "a1 b22", lazy_pattern(r"(\w)(\d+)", re.ASCII), re.compile(r"(\w)(\d+)", re.ASCII)
    for _ in range(2):  # the first call compiles it, and those after it are the compiled one's
        assert lazy.sub(r"\2\1", text) == compiled.sub(r"\2\1", text) == "1a 22b"
        assert [each.groups() for each in lazy.finditer(text)] == [("a", "1"), ("b", "22")]
        assert lazy.fullmatch("a1")
        assert not lazy.match(" a1")
        assert lazy.search(" a1")
        assert lazy.split("a1-b2")
    assert (lazy.pattern, lazy.flags, lazy.groups) == (compiled.pattern, compiled.flags, compiled.groups)
    assert lazy_pattern(rb"\d").search(b"a1")


def test_a_lazy_pattern_is_not_compiled_before_it_is_asked() -> None:
    broken = lazy_pattern("(")
    try:
        broken.match("")
    except re.error:
        return
    raise AssertionError("it was never compiled")


def test_each_lazy_pattern_of_the_package_can_be_compiled() -> None:
    files = [file for file in PACKAGE.rglob("*.py") if " = lazy_pattern(" in file.read_text()]
    names = {".".join(("opa", *file.relative_to(PACKAGE).with_suffix("").parts)) for file in files}
    found = [
        value
        for name in names
        for value in vars(sys.modules.get(name) or importlib.import_module(name)).values()
        if type(value) is type(lazy_pattern(""))
    ]
    assert len(found) >= len(names) > 10
    assert all(each.pattern for each in found)
