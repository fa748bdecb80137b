"""What of a clone goes into a release, and what a release may say of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from release.problem import ReleaseError
from release.tree import public_address, tree_at

EPOCH = 1_800_000_000


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one commit."""
    folder = tmp_path / "clone"
    (folder / "package").mkdir(parents=True)
    for name in ("package/code.py", "package/run.sh", "package/gone.py", "other.txt"):
        (folder / name).write_text(name)
    (folder / "package" / "run.sh").chmod(0o700)
    (folder / ".gitignore").write_text("*.pyc\n")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "--all"], check=True)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    when = {"GIT_COMMITTER_DATE": f"{EPOCH} +0900", "GIT_AUTHOR_DATE": f"{EPOCH} +0900", "PATH": "/usr/bin:/bin"}
    subprocess.run(["git", "-C", str(folder), *who, "commit", "--quiet", "--message", "all"], check=True, env=when)
    return folder


def test_its_files_are_copied_with_the_time_of_the_commit(clone: Path, tmp_path: Path) -> None:
    (clone / "package" / "code.pyc").write_text("ignored")
    tree = tree_at(clone)
    tree.export(tmp_path / "copy", "package")
    copied = {path.name: path.stat() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert copied.keys() == {"code.py", "run.sh", "gone.py"}
    assert {found.st_mtime for found in copied.values()} == {EPOCH} == {tree.epoch}
    assert [oct(copied[name].st_mode & 0o777) for name in ("code.py", "run.sh")] == ["0o644", "0o755"]


def test_what_is_not_committed_is_refused_or_said(clone: Path, tmp_path: Path) -> None:
    clean = tree_at(clone).revision
    (clone / "package" / "new.py").write_text("new")
    (clone / "package" / "gone.py").unlink()
    with pytest.raises(
        ReleaseError, match=r"(?s)files differ from the commit:\n D package/gone.py\n\?\? package/new.py"
    ):
        tree_at(clone)
    tree = tree_at(clone, allow_dirty=True)
    assert tree.revision == f"{clean}-dirty"
    tree.export(tmp_path / "copy")
    assert (tmp_path / "copy/package/new.py").exists()
    assert not (tmp_path / "copy/package/gone.py").exists()


@pytest.mark.parametrize("name", [b"e\xffvil.py", b"two\nlines.py"])
def test_a_name_that_not_each_system_can_have_is_told(clone: Path, tmp_path: Path, name: bytes) -> None:
    (clone / os.fsdecode(name)).write_text("new")
    with pytest.raises(ReleaseError, match="has characters that no file of a release may have"):
        tree_at(clone, allow_dirty=True).export(tmp_path / "copy")


def test_what_a_link_leads_to_outside_of_the_clone_is_in_no_release(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (clone / "inside.txt").symlink_to("other.txt")
    tree_at(clone, allow_dirty=True).export(tmp_path / "first")
    assert (tmp_path / "first" / "inside.txt").read_text() == "other.txt"
    (clone / "package" / "notes.py").symlink_to(tmp_path / "secret")
    with pytest.raises(ReleaseError, match=r"package/notes.py leads out of the clone, to .*secret"):
        tree_at(clone, allow_dirty=True).export(tmp_path / "copy")


def test_a_commit_with_a_time_that_no_archive_has_is_told(clone: Path) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(
        ["git", "-C", str(clone), *who, "commit", "--quiet", "--allow-empty", "--message", "later"],
        check=True,
        env={"GIT_COMMITTER_DATE": "@99999999999 +0000", "PATH": "/usr/bin:/bin"},
    )
    with pytest.raises(ReleaseError, match="99999999999 seconds"):
        tree_at(clone)


def test_a_folder_that_is_no_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="git status"):
        tree_at(tmp_path)


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://example.com/ada/opa-stack.git", "https://example.com/ada/opa-stack"),
        ("https://ada:hunter2@example.com/opa-stack", "https://example.com/opa-stack"),
        ("git@example.com:ada/opa-stack.git", "https://example.com/ada/opa-stack"),
        ("/home/ada/opa-stack", ""),
        ("file:///home/ada/opa-stack", ""),
        ("ssh://ada@10.0.0.7/opa-stack", ""),
        ("", ""),
    ],
)
def test_only_an_address_for_everyone_is_said(remote: str, address: str) -> None:
    assert public_address(remote) == address
