from __future__ import annotations

import asyncio
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from opa.loading.importing import PARTS
from opa.logging.folding import MARK, Owners, fold


def text_of(error: BaseException) -> str:
    return "".join(fold(traceback.TracebackException.from_exception(error)).format())


def error_of(function: Any) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("it did not raise")


def by_library() -> None:
    json.loads("{bad")


def through_library() -> None:
    async def mine() -> None:
        raise ValueError("mine")

    asyncio.run(mine())


def test_own_frames_stand_in_full_and_a_run_of_others_is_a_line() -> None:
    lines = text_of(error_of(through_library)).splitlines()
    (fold_line,) = [line for line in lines if "…" in line]
    assert fold_line.endswith("frames of asyncio")
    assert '    raise ValueError("mine")' in lines
    assert "    asyncio.run(mine())" in lines
    assert lines[-1] == "ValueError: mine"


def test_of_frames_at_the_end_the_last_has_its_place() -> None:
    text = text_of(error_of(by_library))
    assert '    json.loads("{bad")' in text
    (line,) = [line for line in text.splitlines() if "…" in line]
    assert line.startswith("  … 3 frames of json, the last: ")
    assert 'decoder.py", line ' in line


def test_causes_contexts_and_groups_are_folded_too() -> None:
    def chain() -> None:
        try:
            by_library()
        except ValueError as error:
            try:
                raise KeyError("second") from error
            except KeyError:
                raise ExceptionGroup("both", [error_of(through_library), error_of(by_library)]) from None

    def context() -> None:
        try:
            by_library()
        except ValueError:
            raise TypeError("third")  # noqa: B904

    assert text_of(error_of(chain)).count("…") == 2
    assert text_of(error_of(context)).count("…") == 1
    assert "decoder.py" not in text_of(error_of(chain)).replace('decoder.py", line', "")


def test_endless_recursion_stays_short() -> None:
    def deeper() -> None:
        deeper()

    assert len(text_of(error_of(deeper)).splitlines()) < 20


@pytest.mark.parametrize(
    ("file", "library"),
    [
        ("/plugins/shop.py", None),
        ("/home/me/project/.venv/lib/python3.13/site-packages/starlette/routing.py", "starlette"),
        ("/usr/lib/python3/dist-packages/six.py", "six"),
        (json.__file__, "json"),
        (traceback.__file__, "traceback"),
        (sys.modules["opa.logging.folding"].__file__, "opa"),
        (sys.modules["opa.logging.folding"].__file__.replace("/opa/logging/", "/opa-shop/logging/"), None),  # type: ignore[union-attr]
        ("/home/me/lib/python/shop.py", None),
        ("/home/me/site-packages-tools/shop.py", None),
        ("<frozen importlib._bootstrap>", "importlib"),
        ("<string>", None),
    ],
)
def test_the_package_of_a_file_is_known(file: str, library: str | None) -> None:
    assert Owners().library_of(file) == library


def test_an_installed_plugin_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/venv/lib/python3.13/site-packages/my_plugin")
    plugin = ModuleType("my_plugin")
    plugin.__file__ = str(folder / "__init__.py")
    setattr(plugin, MARK, True)
    monkeypatch.setitem(sys.modules, "my_plugin", plugin)
    for part in PARTS:
        assert Owners().library_of(str(folder / f"{part}.py")) is None
    assert Owners().library_of(str(folder.with_name("other") / "x.py")) == "other"
