"""How the image is built, by a stand-in for Docker."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from release.image import build_image, save_image
from release.problem import ReleaseError
from release.tree import Tree

STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" > "$CALLED"
case "$1" in
    save) echo packed ;;
esac
exit "${STATUS:-0}"
"""


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the words of the last call are."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLED", str(tmp_path / "called"))
    return tmp_path / "called"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    for name in ("api/Dockerfile", "docs/index.md", "secret.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def test_its_labels_say_version_commit_time_and_repository(called: Path, clone: Path, tmp_path: Path) -> None:
    tree = Tree(clone, "c0ffee", 1_800_000_000, "https://example.com/opa-stack")
    assert build_image(tree, "1.2.0", tmp_path / "work") == "opa-stack:1.2.0"
    words = called.read_text().splitlines()
    assert {"VERSION=1.2.0", "REVISION=c0ffee", "opa-stack:1.2.0"} <= set(words)
    labels = {word.removeprefix("org.opencontainers.image.") for word in words if word.startswith("org.")}
    source = "https://example.com/opa-stack"
    assert labels == {"created=2027-01-15T08:00:00Z", f"source={source}", f"url={source}"}
    assert (tmp_path / "work" / "docs" / "index.md").exists()
    assert not (tmp_path / "work" / "secret.txt").exists()


def test_without_a_public_address_no_label_says_one(called: Path, clone: Path, tmp_path: Path) -> None:
    build_image(Tree(clone, "c0ffee", 1_800_000_000, ""), "1.2.0", tmp_path / "work")
    assert "source" not in called.read_text()


def test_what_fails_is_said(called: Path, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS", "3")
    with pytest.raises(ReleaseError, match="docker build fails"):
        build_image(Tree(clone, "c0ffee", 1, ""), "1.2.0", tmp_path / "work")
    with pytest.raises(ReleaseError, match="docker save opa-stack fails"):
        save_image("opa-stack", tmp_path / "image.tar.gz")
