"""The examples of the repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.project import Project
from tests.stores import use_stores

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(readme.parent for readme in ROOT.glob("examples/*/README.md"))


def put_into(project: Project, example: Path, request: pytest.FixtureRequest) -> None:
    """Make the project a copy of the example."""
    for folder in ("plugins", "settings", "tests"):
        if (example / folder).is_dir():
            shutil.copytree(example / folder, project.folder / folder, dirs_exist_ok=True)
    text = "".join(plugin.read_text() for plugin in project.plugins.rglob("*.py"))
    if "opa keys" in (example / "README.md").read_text():
        text += "$ opa keys"
    use_stores(project, text, request)
    if "@task" in text or "@on(" in text:
        url = request.getfixturevalue("redis_url")
        project.component("CELERY", "celery", BROKER_URL=f"{url}/10", BACKEND_URL=f"{url}/11")
