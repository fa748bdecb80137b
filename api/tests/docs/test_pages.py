from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.docs.page import ProjectReader
from tests.project import Project
from tests.stores import use_stores
from tests.tasks.workers import task_project

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "api" / "README.md"])
TASK = re.compile(r"^@(task|on)\b", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, project: Project, request: pytest.FixtureRequest) -> None:
    text = page.read_text()
    use_stores(project, text, request)
    ProjectReader(project, worker_for(text, project, request)).read(page)


def worker_for(
    text: str, project: Project, request: pytest.FixtureRequest
) -> Callable[[], AbstractContextManager[object]] | None:
    """A worker for the tasks of a page, with redis as broker; none where it has no tasks."""
    if not TASK.search(text):
        return None
    url = request.getfixturevalue("start_redis")().url

    @contextmanager
    def worker() -> Iterator[None]:
        with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
            tasks.worker("-c 1 -Q celery,slow")
            yield

    return worker
