from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opa.checks.deploy import secret_files
from opa.checks.deploy.secret_files import open_secret_files
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "OPA_SECRET_KEY__FILE"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A file that everybody can read, in a folder that everybody can enter, on a disk."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        file = folder / "key"
        file.write_text("x8Kq2v")
        file.chmod(0o644)
        mount(monkeypatch, tmp_path, "/ - overlay")
        yield file


def mount(monkeypatch: pytest.MonkeyPatch, folder: Path, *mounts: str) -> None:
    """Let these be the mounts: where, and of what kind."""
    lines = [f"1 2 0:1 / {where} rw - {kind} source rw\n" for where, kind in (each.split(" - ") for each in mounts)]
    file = folder / "mountinfo"
    file.write_text("".join(lines))
    monkeypatch.setattr(secret_files, "MOUNTS", file)


@pytest.mark.parametrize("variable", [KEY, "FLOWER_BASIC_AUTH__FILE", "OPA_A__B__FILE"])
def test_a_secret_that_every_user_can_read_is_reported(project: Project, secret: Path, variable: str) -> None:
    assert found(project, open_secret_files, **{variable: str(secret)}) == [
        f"{variable}: every user of this machine can read {secret}"
    ]


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640])
def test_a_secret_of_a_user_and_a_group_is_not_reported(project: Project, secret: Path, mode: int) -> None:
    secret.chmod(mode)
    assert found(project, open_secret_files, **{KEY: str(secret)}) == []


def test_a_secret_that_every_user_can_change_is_reported(project: Project, secret: Path) -> None:
    secret.chmod(0o642)
    assert len(found(project, open_secret_files, **{KEY: str(secret)})) == 1


def test_a_secret_in_a_folder_that_only_its_owner_enters_is_not_reported(project: Project, secret: Path) -> None:
    secret.parent.chmod(0o700)
    assert found(project, open_secret_files, **{KEY: str(secret)}) == []


def test_a_secret_that_kubernetes_made_for_the_container_is_not_reported(
    project: Project, secret: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mount(monkeypatch, tmp_path, "/ - overlay", f"{secret.parent} - tmpfs")
    assert found(project, open_secret_files, **{KEY: str(secret)}) == []

    mount(monkeypatch, tmp_path, "/ - overlay", f"{secret.parent} - tmpfs", f"{secret} - ext4")
    assert len(found(project, open_secret_files, **{KEY: str(secret)})) == 1


def test_a_variable_that_names_no_file_is_left_alone(project: Project, secret: Path) -> None:
    others = {"OPA_PLUGIN_SETTINGS__REPORTS__FILE": str(secret), "SOME__FILE": str(secret), KEY: f"{secret}.gone"}
    assert found(project, open_secret_files, **others) == []
