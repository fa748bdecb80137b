from __future__ import annotations

import os
from pathlib import Path

import pytest

from opa.settings import foreign_files
from opa.settings.foreign_files import foreign_file
from tests.project import NOBODY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


def chown(path: Path) -> Path:
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of root's, with a package in it."""
    folder = tmp_path / "project" / "plugins"
    (folder / "shop" / "parts").mkdir(parents=True)
    (folder / "shop" / "tasks.py").touch()
    return folder


def found(folder: Path) -> Path | None:
    foreign = foreign_file(folder)
    return foreign.path if foreign else None


def test_files_of_root_alone_are_taken(folder: Path) -> None:
    (folder / "again").symlink_to(folder)
    (folder / "circle").symlink_to("circle")
    (folder / "nowhere").symlink_to("../not-there")
    (folder.parent / "beside").touch()
    chown(folder.parent / "beside")
    assert found(folder) is None
    assert found(folder / "not-there") is None
    assert found(folder.parent / "not-there") is None


@pytest.mark.parametrize("name", ["shop/tasks.py", "shop/parts", "shop", ".", ".."])
def test_a_file_and_a_folder_of_another_user_is_found_at_any_depth_and_around(folder: Path, name: str) -> None:
    theirs = chown((folder / name).resolve())
    assert found(folder) == theirs


@pytest.mark.parametrize("name", ["shop/tasks.py", "shop/parts", "shop", ".", ".."])
def test_world_writable_paths_are_found_at_any_depth_and_above(folder: Path, name: str) -> None:
    path = (folder / name).resolve()
    path.chmod(path.stat().st_mode | 0o002)
    foreign = foreign_file(folder)
    assert foreign
    assert foreign.path == path
    assert "that every user can write to" in foreign.why
    assert "chmod o-w" in foreign.remedy


def test_a_folder_around_may_be_written_to_where_nobody_can_exchange_what_is_of_root(folder: Path) -> None:
    folder.parent.chmod(0o1777)  # as /tmp
    assert found(folder) is None
    again = folder.parent / "again"
    again.symlink_to("plugins")
    assert found(again) is None
    theirs = folder.parent / "other"
    theirs.mkdir()
    chown(theirs)
    assert found(theirs) == theirs


@pytest.mark.parametrize("name", ["shop/parts", "shop", "."])
def test_a_folder_to_which_anybody_can_add_a_file_is_found(folder: Path, name: str) -> None:
    # Also after the look at it, and before what is in it is run.
    path = (folder / name).resolve()
    path.chmod(0o1777)
    assert found(folder) == path
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert found(link) == path


def test_folders_above_the_parent_may_belong_to_anyone(folder: Path) -> None:
    chown((folder / "../..").resolve())
    assert found(folder) is None


def test_a_link_of_another_user_is_found_whatever_it_leads_to(folder: Path) -> None:
    theirs = folder.parent / "link"
    theirs.symlink_to(folder)
    chown(theirs)
    assert found(theirs) == theirs
    mine = folder.parent / "mine"
    mine.symlink_to("link")
    assert found(mine) == theirs
    inside = folder / "shop" / "a.py"
    inside.symlink_to("tasks.py")
    chown(inside)
    assert found(folder) == inside


@pytest.mark.parametrize("target", ["{}/elsewhere", "../../elsewhere", "shop/../../../elsewhere/."])
def test_the_target_of_a_link_of_root_is_looked_at_as_well(folder: Path, tmp_path: Path, target: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.py").touch()
    (folder / "linked").symlink_to(target.format(tmp_path))
    assert found(folder) is None
    theirs = chown(elsewhere / "x.py")
    assert found(folder) == theirs


def test_a_folder_that_is_nested_deeply_is_looked_through(folder: Path) -> None:
    deep = folder.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    assert found(folder) is None
    chown(deep)
    assert found(folder) == deep


def test_more_than_can_be_looked_at_is_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_files, "MAX_FILES", 2)
    foreign = foreign_file(folder)
    assert foreign is not None
    assert "more than 2 files" in foreign.why
