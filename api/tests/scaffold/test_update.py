from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from opa.errors import ProjectError
from opa.scaffold import project
from opa.scaffold import update as module
from opa.scaffold.project import make_project, make_repository
from opa.scaffold.template import File, project_files
from opa.scaffold.update import Outcome, update_project
from tests.scaffold.conftest import Git, names_in

Edit = Callable[[dict[str, str]], None]


@pytest.fixture
def shop(here: Path, git: Git) -> Path:
    """A project whose files are committed."""
    make_project(Path("shop"))
    assert make_repository(here / "shop")
    commit(here / "shop", git)
    return here / "shop"


def commit(shop: Path, git: Git) -> None:
    git("add", "--all", cwd=shop)
    git("commit", "--quiet", "--message", "state", cwd=shop)


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Edit], None]:
    """Makes the template of this opa-stack another one, as a newer version would have it."""

    def edit(change: Edit) -> None:
        files = {file.path: file.text for file in project_files("shop")}
        change(files)
        monkeypatch.setattr(module, "project_files", lambda _: tuple(File(*each) for each in files.items()))
        monkeypatch.setattr(module, "__version__", "0.2.0")

    return edit


def outcomes(shop: Path) -> dict[str, Outcome]:
    return {change.path: change.outcome for change in update_project(shop)}


def with_replaced(path: str, old: str, new: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        assert old in files[path]
        files[path] = files[path].replace(old, new)

    return edit


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


TOUCHED = with_replaced("Makefile", "PYTHON ?= python3", "PYTHON ?= python3.13")


def test_a_project_with_this_template_stays_as_it_is(shop: Path, git: Git) -> None:
    change(shop / "Makefile", "PYTHON ?= python3", "PYTHON ?= python3.12")
    (shop / "Dockerfile").unlink()
    before = git("status", "--porcelain", cwd=shop)
    assert outcomes(shop) == {}
    assert git("status", "--porcelain", cwd=shop) == before


def test_a_file_that_nobody_has_changed_becomes_that_of_the_template(shop: Path, newer: Callable[[Edit], None]) -> None:
    newer(TOUCHED)
    (shop / "Makefile").chmod(0o755)
    assert outcomes(shop) == {"Makefile": Outcome.REPLACED}
    assert "python3.13" in (shop / "Makefile").read_text()
    assert stat.S_IMODE((shop / "Makefile").stat().st_mode) == 0o755
    assert outcomes(shop) == {}, "the second time there is nothing to do"


def test_changes_of_both_are_merged(shop: Path, git: Git, newer: Callable[[Edit], None]) -> None:
    change(shop / "Makefile", "$(BIN)/opa up", "$(BIN)/opa up --debug")
    commit(shop, git)
    newer(TOUCHED)
    assert outcomes(shop) == {"Makefile": Outcome.MERGED}
    text = (shop / "Makefile").read_text()
    assert "python3.13" in text
    assert "opa up --debug" in text


def test_a_conflict_stays_in_the_file_between_markers(shop: Path, git: Git, newer: Callable[[Edit], None]) -> None:
    change(shop / "Makefile", "PYTHON ?= python3", "PYTHON ?= python3.12")
    commit(shop, git)
    newer(TOUCHED)
    assert outcomes(shop) == {"Makefile": Outcome.CONFLICT}
    assert (
        "<<<<<<< yours\nPYTHON ?= python3.12\n=======\nPYTHON ?= python3.13\n>>>>>>> template of opa-stack"
        in (shop / "Makefile").read_text()
    )


def test_files_that_are_the_users_are_not_touched(shop: Path, newer: Callable[[Edit], None]) -> None:
    def everything(files: dict[str, str]) -> None:
        for path in files:
            files[path] += "\n"

    newer(everything)
    assert (
        not {"plugins/greetings.py", "tests/test_greetings.py", "settings/project.yaml", "plugins.lock"}
        & outcomes(shop).keys()
    )


def test_what_the_user_has_deleted_stays_deleted(shop: Path, git: Git, newer: Callable[[Edit], None]) -> None:
    (shop / "Makefile").unlink()
    commit(shop, git)
    newer(TOUCHED)
    assert outcomes(shop) == {"Makefile": Outcome.GONE}
    assert not (shop / "Makefile").exists()


def test_what_the_template_has_no_more_goes_unless_it_was_changed(
    shop: Path, git: Git, newer: Callable[[Edit], None]
) -> None:
    change(shop / "Dockerfile", "plugins /plugins", "plugins /plugins\n# mine")
    commit(shop, git)

    def remove(files: dict[str, str]) -> None:
        del files["Makefile"], files["Dockerfile"]

    newer(remove)
    assert outcomes(shop) == {"Makefile": Outcome.DELETED, "Dockerfile": Outcome.KEPT}
    assert not (shop / "Makefile").exists()
    assert (shop / "Dockerfile").exists()


def test_a_new_file_is_added_and_not_in_the_place_of_one_of_the_users(
    shop: Path, newer: Callable[[Edit], None]
) -> None:
    def add(files: dict[str, str]) -> None:
        files["scripts/run"] = files["LICENSE"] = "theirs\n"

    (shop / "LICENSE").write_text("mine\n")
    newer(add)
    assert outcomes(shop) == {"scripts/run": Outcome.ADDED, "LICENSE": Outcome.BESIDE}
    assert (shop / "LICENSE").read_text() == "mine\n"
    assert (shop / "LICENSE.new").read_text() == (shop / "scripts" / "run").read_text() == "theirs\n"


def test_a_project_of_before_gets_the_stack_for_production_and_no_settings(
    here: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_today = project_files("shop")
    of_then = tuple(
        File(file.path, file.text.replace("--chmod=755 ", ""))
        for file in of_today
        if file.path not in ("docker-compose.prod.yml", "settings/access.yaml")
    )
    with monkeypatch.context() as then:
        then.setattr(project, "project_files", lambda _: of_then)
        make_project(Path("shop"))
    assert make_repository(here / "shop")
    commit(here / "shop", git)
    assert outcomes(here / "shop") == {"Dockerfile": Outcome.REPLACED, "docker-compose.prod.yml": Outcome.ADDED}
    assert names_in(here / "shop" / "settings") == ["project.yaml"]
    assert (here / "shop" / "docker-compose.prod.yml").read_text() == next(
        file.text for file in of_today if file.path == "docker-compose.prod.yml"
    )


def test_a_lock_of_the_template_is_replaced_and_one_of_the_users_is_kept(
    shop: Path, git: Git, newer: Callable[[Edit], None]
) -> None:
    lock = shop / "requirements.lock"
    newer(lambda files: files.update({"requirements.lock": "newer\n"}))
    assert outcomes(shop) == {"requirements.lock": Outcome.REPLACED}
    assert lock.read_text() == "newer\n"
    lock.write_text("mine\n")
    commit(shop, git)
    newer(lambda files: files.update({"requirements.lock": "newest\n"}))
    assert outcomes(shop) == {"requirements.lock": Outcome.LOCK}
    assert lock.read_text() == "mine\n"


@pytest.mark.parametrize("is_changed", [False, True])
def test_line_endings_of_windows_stay(shop: Path, git: Git, newer: Callable[[Edit], None], is_changed: bool) -> None:
    file = shop / "Makefile"
    if is_changed:
        change(file, "opa up", "opa up --debug")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    commit(shop, git)
    newer(TOUCHED)
    assert outcomes(shop) == {"Makefile": Outcome.MERGED if is_changed else Outcome.REPLACED}
    content = file.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 10
    assert b"python3.13" in content


def test_a_link_is_left_alone_and_not_followed(shop: Path, git: Git, newer: Callable[[Edit], None]) -> None:
    outside = shop.parent / "outside"
    outside.mkdir()
    (shop / "Makefile").rename(outside / "Makefile")
    (shop / "Makefile").symlink_to(outside / "Makefile")
    (shop / ".vscode").rename(outside / "vscode")
    (shop / ".vscode").symlink_to(outside / "vscode")
    commit(shop, git)
    before = (outside / "Makefile").read_text()

    def both(files: dict[str, str]) -> None:
        TOUCHED(files)
        files[".vscode/launch.json"] += "\n"

    newer(both)
    assert outcomes(shop) == {"Makefile": Outcome.BESIDE, ".vscode/launch.json": Outcome.ELSEWHERE}
    assert names_in(outside / "vscode") == ["launch.json"]
    assert (outside / "Makefile").read_text() == before
    assert "python3.13" in (shop / "Makefile.new").read_text()


def test_what_is_no_text_is_left_alone(shop: Path, git: Git, newer: Callable[[Edit], None]) -> None:
    (shop / "Makefile").write_bytes(b"\xff\0")
    commit(shop, git)
    newer(TOUCHED)
    assert outcomes(shop) == {"Makefile": Outcome.BESIDE}
    assert (shop / "Makefile").read_bytes() == b"\xff\0"


@pytest.mark.parametrize("how", ["changed", "ignored", "no repository", "in a folder of a repository"])
def test_changes_that_git_does_not_have_are_not_merged(
    shop: Path, git: Git, newer: Callable[[Edit], None], how: str
) -> None:
    change(shop / "Makefile", "opa up", "opa up --debug")
    change(shop / "README.md", "## Start", "## Begin")
    if how == "no repository":
        (shop / ".git").rename(shop / "old")
    elif how == "ignored":
        git("rm", "--quiet", "--cached", "Makefile", "README.md", cwd=shop)
        (shop / ".gitignore").write_text("Makefile\nREADME.md\n")
        commit(shop, git)
    elif how == "in a folder of a repository":
        (shop / ".git").rename(shop.parent / ".git")
    before = (shop / "Makefile").read_text()

    def both(files: dict[str, str]) -> None:
        TOUCHED(files)
        files["README.md"] += "\n"
        files["Dockerfile"] += "\n"

    newer(both)
    with pytest.raises(ProjectError, match=r"^Makefile, README\.md have changes that are not committed"):
        update_project(shop)
    assert (shop / "Makefile").read_text() == before
    assert not (shop / "Dockerfile").read_text().endswith("\n\n")


def test_without_git_files_are_replaced_but_not_merged(
    shop: Path, newer: Callable[[Edit], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    newer(TOUCHED)
    assert outcomes(shop) == {"Makefile": Outcome.REPLACED}
    change(shop / "Makefile", "opa up", "opa up --debug")
    newer(lambda files: files.update({"Makefile": "newest\n"}))
    with pytest.raises(ProjectError, match="you have changed Makefile, and merging needs git"):
        update_project(shop)


def test_a_project_of_a_newer_opa_stack_is_refused(shop: Path) -> None:
    change(shop / ".opa-template.json", '"opa_stack": "', '"opa_stack": "9')
    with pytest.raises(ProjectError, match=r"has the template of opa-stack 9.*Update opa-stack first"):
        update_project(shop)


def test_a_folder_that_opa_new_has_not_made_is_refused(here: Path) -> None:
    with pytest.raises(ProjectError, match=r"there is no \.opa-template\.json"):
        update_project(here)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "does not have what it should have"),
        ("[" * 100_000, "is not JSON"),
        ('{"opa_stack": 1, "name": "shop", "files": {}, "hashes": {}}', "is not a text"),
        ('{"opa_stack": "x", "name": "shop", "files": {}, "hashes": {}}', "names no version"),
        ('{"opa_stack": "0.1", "name": "../x", "files": {}, "hashes": {}}', "cannot be the name of a project"),
        ('{"opa_stack": "0.1", "name": "shop", "files": {"../x": ""}, "hashes": {}}', "is not a path in the project"),
        ('{"opa_stack": "0.1", "name": "shop", "files": {"/etc/x": ""}, "hashes": {}}', "is not a path in the project"),
        ('{"opa_stack": "0.1", "name": "shop", "files": {"a//b": ""}, "hashes": {}}', "is not a path in the project"),
        ('{"opa_stack": "0.1", "name": "shop", "files": {}, "hashes": {".git/config": ""}}', "is not a path in the"),
        (
            '{"opa_stack": "0.1", "name": "shop", "files": {"a\\u001b[31m": ""}, "hashes": {}}',
            "is not a path in the project",
        ),
        (
            '{"opa_stack": "0.1", "name": "shop", "files": {"\\ud800": ""}, "hashes": {}}',
            "is not a path in the project",
        ),
        (
            f'{{"opa_stack": "0.1", "name": "shop", "files": {{"{"a" * 256}": ""}}, "hashes": {{}}}}',
            "is not a path in the",
        ),
        (f'{{"opa_stack": "{"9" * 5000}", "name": "shop", "files": {{}}, "hashes": {{}}}}', "names no version"),
        ('{"opa_stack": "0.1", "name": "shop", "files": {"": ""}, "hashes": {}}', "is not a path in the project"),
    ],
)
def test_a_record_that_is_none_is_refused(shop: Path, text: str, problem: str) -> None:
    (shop / ".opa-template.json").write_text(text)
    with pytest.raises(ProjectError, match=problem):
        update_project(shop)


def test_a_disk_that_is_full_changes_nothing(
    shop: Path, git: Git, newer: Callable[[Edit], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def several(files: dict[str, str]) -> None:
        for path in ("Makefile", "Dockerfile", "README.md"):
            files[path] += "\n"

    newer(several)
    fdopen = os.fdopen
    left = [2]

    def until_full(*arguments: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return fdopen(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fdopen", until_full)
    with pytest.raises(ProjectError, match="No space left on device"):
        update_project(shop)
    monkeypatch.undo()
    assert git("status", "--porcelain", "--ignored", cwd=shop) == ""
