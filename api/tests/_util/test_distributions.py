"""Conditions of requirements, which anyone may have written, and entry points of whatever is installed."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from opa._util.distributions import ConditionError, applies_here, may_have_entry_points


def test_a_condition_is_answered_for_this_python() -> None:
    assert applies_here(Requirement("ladle"))
    assert applies_here(Requirement("ladle; python_version > '3'"))
    assert not applies_here(Requirement("ladle; python_version < '3'"))
    assert not applies_here(Requirement("ladle; extra == 'soup'"))
    assert applies_here(Requirement("ladle; extra == 'soup'"), "soup")


@pytest.mark.parametrize("condition", ["os_name ~= 'posix'", "'soup' in extras", "'soup' in dependency_groups"])
def test_a_condition_without_an_answer_is_an_error_of_its_own(condition: str) -> None:
    with pytest.raises(ConditionError, match="whose condition has no answer"):
        applies_here(Requirement(f"ladle; {condition}"))


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("acme-1.dist-info/entry_points.txt", "[opa.plugins]\na = a\n", True),
        ("Acme.egg-info/entry_points.txt", "[ opa.plugins ]\na = a\n", True),
        ("acme.egg/EGG-INFO/entry_points.txt", "[opa.plugins]\na = a\n", True),
        ("acme-1.dist-info/entry_points.txt", "[console_scripts]\na = a:main\n", False),
        ("acme-1.dist-info/METADATA", "Name: opa.plugins\n", False),
        ("acme.egg-info", "opa.plugins", False),  # a file, as distutils wrote it
    ],
)
def test_entry_points_are_looked_for_where_python_finds_them(
    file: str, text: str, found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / file
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(text)
    egg = [str(tmp_path / "acme.egg")] if (tmp_path / "acme.egg").is_dir() else []
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(tmp_path), *egg])
    assert may_have_entry_points("opa.plugins") is found
    assert found or not entry_points(group="opa.plugins")


def test_an_archive_and_a_finder_of_another_kind_may_have_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert not may_have_entry_points("opa.plugins")
    archive = tmp_path / "packages.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("acme-1.dist-info/entry_points.txt", "[opa.plugins]\na = a\n")
    sys.path.append(str(archive))
    assert may_have_entry_points("opa.plugins")
    sys.path.pop()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, SimpleNamespace(find_distributions=list)])
    assert may_have_entry_points("opa.plugins")
