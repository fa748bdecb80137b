"""Every example does what its README says, with the application in this process and the embedded servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.page import ProjectReader
from tests.examples.examples import EXAMPLES, ROOT, put_into
from tests.project import Project
from tests.tasks.workers import task_project

CELERY_PARAMS = re.compile(r"^ +CELERY_PARAMS: (.+)$", re.MULTILINE)


@contextmanager
def workers_of(example: Path, project: Project, request: pytest.FixtureRequest) -> Iterator[None]:
    """The workers that its compose file has, as processes, with redis as broker."""
    found = CELERY_PARAMS.findall((example / "docker-compose.yml").read_text())
    if not found:
        yield
        return
    url = request.getfixturevalue("start_redis")().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
        for number, params in enumerate(found):
            tasks.worker(f"{params} -n worker-{number}@%h")
        yield


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_its_readme_says(example: Path, project: Project, request: pytest.FixtureRequest) -> None:
    put_into(project, example, request)
    reader = ProjectReader(project)
    with workers_of(example, project, request):
        reader.read(example / "README.md")
    assert any(command.startswith("curl") for command in reader.done)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_readme_of_all_examples_leads_to_each(example: Path) -> None:
    assert f"]({example.name}/)" in (ROOT / "examples/README.md").read_text()


def test_the_tags_of_a_router_group_its_routes_in_the_documentation(
    project: Project, request: pytest.FixtureRequest
) -> None:
    put_into(project, ROOT / "examples/timekeeper", request)
    paths = project.app().openapi()["paths"]
    tags = {path: operations["get"]["tags"] for path, operations in paths.items() if "tags" in operations["get"]}
    assert tags == {
        "/time": ["clock"],
        "/month/{month}": ["clock"],
        "/sleep-async/{seconds}": ["sleeper"],
        "/sleep-sync/{seconds}": ["sleeper"],
    }


def test_an_object_id_is_described_as_the_string_that_it_is_outside(
    project: Project, request: pytest.FixtureRequest
) -> None:
    put_into(project, ROOT / "examples/mongo", request)
    description = project.app().openapi()
    in_path = description["paths"]["/books/{book_id}"]["get"]["parameters"][0]["schema"]
    in_answer = description["components"]["schemas"]["Book"]["properties"]["id"]
    assert in_path["type"] == in_answer["type"] == "string"
    assert in_path["pattern"] == in_answer["pattern"] == "^[0-9a-fA-F]{24}$"
