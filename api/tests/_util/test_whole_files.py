from __future__ import annotations

from pathlib import Path

import pytest

from opa._util.whole_files import write_whole


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    link = tmp_path / "link"
    link.symlink_to("real")
    write_whole(link, "after ü\n")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == "after ü\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "half a character: \ud800")
    with pytest.raises(OSError, match="No such file"):
        write_whole(tmp_path / "missing" / "file", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "before"
