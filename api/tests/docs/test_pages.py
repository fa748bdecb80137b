from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import ProjectReader
from tests.project import Project
from tests.stores import use_stores

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_says(page: Path, project: Project, request: pytest.FixtureRequest) -> None:
    use_stores(project, page.read_text(), request)
    ProjectReader(project).read(page)
