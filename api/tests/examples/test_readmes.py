"""Every example does what its README says, with the application in this process and the embedded servers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.page import ProjectReader
from tests.examples.examples import EXAMPLES
from tests.project import Project
from tests.stores import use_stores


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_its_readme_says(example: Path, project: Project, redis_url: str, mongo_url: str) -> None:
    use_stores(project, redis_url, mongo_url)
    shutil.copytree(example / "plugins", project.plugins, dirs_exist_ok=True)
    reader = ProjectReader(project)
    reader.read(example / "README.md")
    assert any(command.startswith("curl") for command in reader.done)
