"""`make dist` in a fresh clone, without the image: what it makes, and when it makes nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import opa
from release.__main__ import check_replaceable, put
from release.problem import ReleaseError
from tests.distribution import install, wheel_of
from tests.docker.engine import ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists() or not all(map(shutil.which, ("make", "git"))), reason="needs a clone, git and make"
)

WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")


def git(clone: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(clone), *WHO, *arguments], check=True, capture_output=True, text=True
    ).stdout


def commit(clone: Path, message: str) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", message)


def make_dist(clone: Path, arguments: str = "--no-image", **environ: str) -> subprocess.CompletedProcess[str]:
    """With the Python of the tests as the virtual environment of the clone."""
    python = clone / ".venv" / "bin" / "python"
    if not python.exists():
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
    return subprocess.run(
        ["make", "--silent", "--old-file", ".venv/.dev", "dist", f"ARGS={arguments}"],
        cwd=clone,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def bytes_of(clone: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (clone / "dist").iterdir()}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the working tree of the tests, in which version 9.8.7 is committed."""
    folder = tmp_path_factory.mktemp("clone") / "opa-stack"
    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    for name in filter(None, git(ROOT, "ls-files", "-z", "-m", "-o", "--exclude-standard").split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    package = folder / "api/data/opa/__init__.py"
    package.write_text(package.read_text().replace(f'__version__ = "{opa.__version__}"', '__version__ = "9.8.7"'))
    commit(folder, "The next version")
    return folder


@pytest.fixture(scope="module")
def released(clone: Path) -> Path:
    """A clone whose changelog has the section, with a release in `dist/`."""
    refused = make_dist(clone)
    assert refused.returncode != 0
    assert "CHANGELOG.md has no section 9.8.7" in refused.stderr
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text().replace(
            "## Unreleased", "## Unreleased\n\n## 9.8.7 - 2027-01-31\n\n- All is new.\n\n## 9.8.6"
        )
    )
    refused = make_dist(clone)
    assert refused.returncode != 0
    assert re.search(r"files differ from the commit:\n M CHANGELOG.md", refused.stderr)
    assert not (clone / "dist").exists()
    commit(clone, "What is new")
    made = make_dist(clone)
    assert made.returncode == 0, made.stdout + made.stderr
    return clone


@pytest.fixture(scope="module")
def packages(released: Path) -> tuple[Path, Path]:
    dist = released / "dist"
    return dist / "opa_stack-9.8.7.tar.gz", dist / "opa_stack-9.8.7-py3-none-any.whl"


def test_the_release_has_its_files_and_their_sums(released: Path) -> None:
    made = bytes_of(released)
    names = {"RELEASE-NOTES.md", "SHA256SUMS", "opa_stack-9.8.7-py3-none-any.whl", "opa_stack-9.8.7.tar.gz"}
    assert set(made) == names
    assert made["RELEASE-NOTES.md"].decode() == "# opa-stack 9.8.7\n\n- All is new.\n"
    lines = [line.partition("  ") for line in made["SHA256SUMS"].decode().splitlines()]
    sums = {name: digest for digest, _, name in lines}
    assert sums == {name: hashlib.sha256(made[name]).hexdigest() for name in names - {"SHA256SUMS"}}
    assert git(released, "status", "--porcelain") == ""


def test_a_second_build_has_the_same_bytes_whoever_builds_it(released: Path, tmp_path: Path) -> None:
    first = bytes_of(released)
    elsewhere = tmp_path / "another place"
    git(released, "clone", "--quiet", str(released), str(elsewhere))
    before = os.umask(0o077)
    try:
        made = make_dist(elsewhere, TZ="Asia/Tokyo", LC_ALL="C", SOURCE_DATE_EPOCH="1")
    finally:
        os.umask(before)
    assert made.returncode == 0, made.stderr
    assert bytes_of(elsewhere) == first


def test_the_sdist_has_the_package_and_no_more(packages: tuple[Path, Path]) -> None:
    sdist, wheel = packages
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    below = {member.name.partition("/")[2] for member in members if member.isfile()}
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        packed = {name for name in archive_of_wheel.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive_of_wheel.namelist() if name.endswith("/METADATA"))
        said = Parser().parsestr(archive_of_wheel.read(metadata).decode())
    assert {name.removeprefix("data/") for name in below if name.startswith("data/opa/")} == packed
    around = {name for name in below if not name.startswith("data/")}
    assert around == {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert {(member.uid, member.uname, member.mtime) for member in members} == {(0, "", members[0].mtime)}
    assert said["Version"] == "9.8.7"


def test_what_is_installed_of_the_sdist_works_in_an_empty_environment(
    packages: tuple[Path, Path], tmp_path: Path
) -> None:
    sdist, _ = packages
    commands = install(wheel_of(sdist, tmp_path), tmp_path / "environment")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPA_", "PYTHONPATH"))}
    for arguments, expected in ((["--version"], "opa-stack 9.8.7"), (["check"], "ok: ")):
        done = subprocess.run(
            [commands / "opa", *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert expected in done.stdout, done.stdout + done.stderr


def test_what_something_else_has_put_there_is_kept(released: Path) -> None:
    dist, aside = released / "dist", released / "aside"
    dist.rename(aside)
    dist.mkdir()
    try:
        (dist / "mine.txt").write_text("mine")
        refused = make_dist(released, "--no-image --allow-dirty")
        assert refused.returncode != 0
        assert "files that make dist has not made" in refused.stderr
        assert (dist / "mine.txt").read_text() == "mine"
    finally:
        shutil.rmtree(dist)
        aside.rename(dist)


def test_a_disk_that_gets_full_leaves_the_release_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "SHA256SUMS").write_text("before")
    made = tmp_path / "made"
    made.mkdir()
    (made / "SHA256SUMS").write_text("after")

    def copy_half(source: Path, target: Path) -> None:
        target.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", copy_half)
        with pytest.raises(ReleaseError, match="No space left on device"):
            put(made, tmp_path / "dist")
    assert {path.name: path.read_text() for path in (tmp_path / "dist").iterdir()} == {"SHA256SUMS": "before"}
    put(made, tmp_path / "dist")
    assert {path.name: path.read_text() for path in (tmp_path / "dist").iterdir()} == {"SHA256SUMS": "after"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "made"]


def test_a_link_in_the_place_of_the_folder_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dist").symlink_to("elsewhere")
    with pytest.raises(ReleaseError, match="is a link"):
        check_replaceable(tmp_path / "dist")


def test_an_empty_section_is_refused(released: Path) -> None:
    made = bytes_of(released)
    refused = make_dist(released, "--no-image --unreleased")
    assert refused.returncode != 0
    assert "the section Unreleased of CHANGELOG.md is empty" in refused.stderr
    assert bytes_of(released) == made
