from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opa.loading.packages_folder import PackagesFolder
from tests.own_metadata import own_metadata
from tests.project import Project
from tests.wheels import OF_INDEXES, Wheels


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def wheels(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Wheels:
    for name in [name for name in os.environ if name.startswith(OF_INDEXES)]:
        monkeypatch.delenv(name)
    made = Wheels(tmp_path / "wheels")
    for name, value in made.environ(cache).items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def needing(project: Project, wheels: Wheels) -> Iterator[Project]:
    """A project whose plugins find the packages of `wheels` alone."""
    project.settings(PLUGIN_AUTOLOAD=False)
    yield project
    sys.path[:] = [entry for entry in sys.path if not isinstance(entry, PackagesFolder)]
    for name in [name for name, module in sys.modules.items() if str(project.folder) in (module_file(module) or "")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def kitchen(needing: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose opa-stack has an extra for which nothing is installed, and an index that has it."""
    own_metadata(needing.folder / "installed", monkeypatch, kitchen=["ladle>=1,<3", "spoon"])
    for name, version in (("ladle", "1.2"), ("ladle", "3.0"), ("spoon", "2.0")):
        wheels.add(name, version)
    return needing


def module_file(module: object) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None
