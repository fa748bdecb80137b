from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tomllib
from pathlib import Path

import pytest

import opa
from opa.errors import ProjectError
from opa.scaffold import project as module
from opa.scaffold.project import make_project, make_repository
from opa.scaffold.template import File, project_files
from tests.scaffold.conftest import Git, names_in

OWN_LOCK = Path(__file__).parents[2] / "requirements-dev.lock"


def test_a_project_has_all_files_of_the_template(here: Path) -> None:
    make_project(Path("shop"))
    found = {str(path.relative_to(here / "shop")) for path in here.rglob("*") if path.is_file()}
    assert found == {
        ".dockerignore",
        ".env.example",
        ".gitattributes",
        ".github/workflows/ci.yml",
        ".gitignore",
        ".opa-template.json",
        ".vscode/launch.json",
        "Dockerfile",
        "Makefile",
        "README.md",
        "docker-compose.dev.yml",
        "docker-compose.prod.yml",
        "docker-compose.yml",
        "plugins.lock",
        "plugins/greetings.py",
        "pyproject.toml",
        "requirements.lock",
        "settings/access.yaml",
        "settings/project.yaml",
        "tests/test_greetings.py",
    }
    assert names_in(here) == ["shop"]


def test_its_name_and_the_version_of_opa_stack_are_filled_in(here: Path) -> None:
    make_project(Path("my-shop"))
    project = here / "my-shop"
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] == "my-shop"
    assert 'name: "my-shop"\n' in (project / "docker-compose.yml").read_text()
    assert "FROM ${OPA_STACK_IMAGE}" in (project / "Dockerfile").read_text()
    assert f"ARG OPA_STACK_IMAGE=opa-stack:{opa.__version__}\n" in (project / "Dockerfile").read_text()
    for path in project.rglob("*"):
        if path.is_file() and path.name != ".opa-template.json":
            assert "{{" not in path.read_text(), path


def test_its_folders_and_files_have_the_rights_that_others_here_have(here: Path) -> None:
    old = os.umask(0o027)
    try:
        make_project(Path("shop"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((here / "shop").stat().st_mode) == 0o750
    assert stat.S_IMODE((here / "shop" / "plugins").stat().st_mode) == 0o750
    assert stat.S_IMODE((here / "shop" / "Makefile").stat().st_mode) == 0o640


def test_an_empty_folder_becomes_the_project_also_with_what_git_and_editors_put_there(here: Path) -> None:
    (here / "shop" / ".git").mkdir(parents=True)
    (here / "shop" / ".venv" / "bin").mkdir(parents=True)
    os.chdir("shop")
    make_project(Path())
    assert (here / "shop" / "plugins" / "greetings.py").is_file()
    assert names_in(here / "shop")[:4] == [".dockerignore", ".env.example", ".git", ".gitattributes"]
    assert not [name for name in names_in(here / "shop") if "new-" in name]


def test_files_are_never_overwritten(here: Path) -> None:
    (here / "shop").mkdir()
    for name in ("README.md", "notes.txt", ".env"):
        (here / "shop" / name).write_text("mine")
    with pytest.raises(ProjectError, match=r"shop is not empty: it has \.env, README\.md, notes\.txt"):
        make_project(Path("shop"))
    assert names_in(here / "shop") == [".env", "README.md", "notes.txt"]
    assert (here / "shop" / "README.md").read_text() == "mine"


def test_what_one_that_was_killed_has_left_is_named_as_that(here: Path) -> None:
    (here / "shop" / ".shop-new-x1").mkdir(parents=True)
    with pytest.raises(ProjectError, match=r"it has \.shop-new-x1 .*was killed: then remove what it has left"):
        make_project(Path("shop"))


def test_a_second_project_of_the_same_name_is_refused(here: Path) -> None:
    make_project(Path("shop"))
    with pytest.raises(ProjectError, match=r"\.dockerignore, .* and 14 more"):
        make_project(Path("shop"))


@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_what_is_no_folder_is_left_alone(here: Path, kind: str) -> None:
    if kind == "file":
        (here / "shop").write_text("mine")
    else:
        (here / "shop").symlink_to("nothing")
    with pytest.raises(ProjectError, match="shop is there, and is not a folder"):
        make_project(Path("shop"))
    assert names_in(here) == ["shop"]


def test_the_folder_around_it_has_to_be_there() -> None:
    with pytest.raises(ProjectError, match="the folder work is not there"):
        make_project(Path("work/shop"))


def test_where_nobody_may_write_it_says_so() -> None:
    with pytest.raises(ProjectError, match=r"the project cannot be written: .*\(/proc/"):
        make_project(Path("/proc/shop"))


@pytest.mark.parametrize("exists", [False, True], ids=["a new folder", "an empty folder"])
@pytest.mark.parametrize("written", [0, 3, 17])
def test_a_disk_that_is_full_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, written: int, exists: bool
) -> None:
    if exists:
        (here / "shop").mkdir()
    write_files = module.write_files

    def until_full(folder: Path, files: tuple[File, ...]) -> None:
        write_files(folder, files[:written])
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "Makefile"))

    monkeypatch.setattr(module, "write_files", until_full)
    with pytest.raises(ProjectError, match=r"No space left on device \(.*Makefile\)\. Nothing of it is left"):
        make_project(Path("shop"))
    assert [str(path.relative_to(here)) for path in here.rglob("*")] == (["shop"] if exists else [])


def test_a_file_that_is_written_meanwhile_is_not_overwritten(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shop").mkdir()
    write_files = module.write_files

    def and_another_process(folder: Path, files: tuple[File, ...]) -> None:
        write_files(folder, files)
        (here / "shop" / "README.md").write_text("mine")

    monkeypatch.setattr(module, "write_files", and_another_process)
    with pytest.raises(ProjectError, match="it was written meanwhile"):
        make_project(Path("shop"))
    assert names_in(here / "shop") == ["README.md"]
    assert (here / "shop" / "README.md").read_text() == "mine"


def test_a_project_is_made_in_a_repository_of_its_own(here: Path, git: Git) -> None:
    make_project(Path("shop"))
    assert make_repository(here / "shop")
    status = git("status", "--porcelain", "--ignored", cwd=here / "shop")
    assert "?? Makefile\n" in status
    assert "!!" not in status, "it ignores a file of its own"
    make_project(here / "shop" / "inner")
    assert make_repository(here / "shop" / "inner")
    assert not (here / "shop" / "inner" / ".git").exists()


@pytest.mark.parametrize("program", [None, "#!/bin/sh\nexit 1\n"], ids=["absent", "broken"])
def test_without_git_there_is_a_project_all_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    make_project(Path("shop"))
    (here / "bin").mkdir()
    if program:
        (here / "bin" / "git").write_text(program)
        (here / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(here / "bin"))
    assert make_repository(here / "shop") is False


def test_the_record_has_what_was_written_but_what_is_the_users_from_then_on(here: Path) -> None:
    make_project(Path("shop"))
    record = json.loads((here / "shop" / ".opa-template.json").read_text())
    assert (record["opa_stack"], record["name"]) == (opa.__version__, "shop")
    assert record["files"]["Makefile"] == (here / "shop" / "Makefile").read_text()
    assert record["hashes"].keys() == {"requirements.lock"}
    assert not [path for path in record["files"] if path.startswith(("plugins", "tests", "settings"))]


def test_the_lock_of_a_project_has_the_versions_of_opa_stacks_own() -> None:
    pins = [
        set(re.findall(r"^\S+==\S+", lock, re.MULTILINE))
        for lock in (OWN_LOCK.read_text(), text_of("requirements.lock"))
    ]
    assert pins[1]
    assert pins[1] <= pins[0], "run make lock"


def text_of(path: str) -> str:
    return next(file.text for file in project_files("shop") if file.path == path)


def test_no_line_of_a_template_ends_as_in_windows() -> None:
    assert not [file.path for file in project_files("shop") if "\r" in file.text]
    assert shutil.which("git"), "these tests need git"
