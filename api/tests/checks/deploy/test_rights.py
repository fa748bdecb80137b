from __future__ import annotations

import os
from pathlib import Path

import pytest

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.rights import runs_as_root, writable_code, writable_root
from tests.project import Project


@pytest.mark.parametrize(("user", "count"), [(0, 1), (10001, 0)])
def test_a_start_as_root_is_reported(project: Project, user: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment(project.prepare(), {})
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert len(list(runs_as_root(deployment))) == count


def test_a_root_that_can_be_written_to_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment(project.prepare(), {})
    can_write_to(monkeypatch, Path("/"))
    assert len(list(writable_root(deployment))) == 1

    can_write_to(monkeypatch)
    assert list(writable_root(deployment)) == []


def test_folders_with_code_that_can_be_written_to_are_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = Deployment(project.prepare(), {})
    code = {project.plugins, project.folder / "settings"}
    can_write_to(monkeypatch, *code)
    assert {Path(finding.where) for finding in writable_code(deployment)} == code

    can_write_to(monkeypatch)
    assert list(writable_code(deployment)) == []


def can_write_to(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path in paths)
