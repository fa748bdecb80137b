from __future__ import annotations

from pathlib import Path

import pytest

from opa._util.sources import from_here


def test_a_path_is_told_from_the_current_folder_on_where_it_is_in_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    paths = [str(project / "plugins"), str(project), str(tmp_path / "project-2"), "plugins"]
    assert [from_here(path) for path in paths] == ["plugins", ".", str(tmp_path / "project-2"), "plugins"]
