from __future__ import annotations

import pytest

from tests.project import Project

PLUGIN = """
from typing import Annotated
from fastapi import Depends
from opa import Component, Driver, get_instance, get_router

router = get_router()

class Fake(Driver):
    name = "fake"
    def connect(self):
        self.instance = {"client": self.component}

@router.get("/annotated")
def annotated(thing: Annotated[dict, Component("thing")]):
    return thing

@router.get("/default")
async def default(thing: dict = Component("THING")):
    return thing

def of_another(thing: Annotated[dict, Component("thing")]):
    return thing["client"]

@router.get("/nested")
def nested(name: Annotated[str, Depends(of_another)]):
    return name

@router.get("/by-hand")
def by_hand():
    return get_instance("Thing")
"""


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/annotated", {"client": "thing"}),
        ("/default", {"client": "thing"}),
        ("/nested", "thing"),
        ("/by-hand", {"client": "thing"}),
    ],
)
def test_a_route_gets_the_instance_of_a_component(project: Project, path: str, answer: object) -> None:
    project.plugin("a.py", PLUGIN)
    project.component("THING", "fake")
    with project.client() as client:
        assert client.get(path).json() == answer


@pytest.mark.parametrize("path", ["/annotated", "/default", "/nested", "/by-hand"])
def test_a_route_whose_component_is_not_there_answers_503_with_its_name(project: Project, path: str) -> None:
    project.plugin("a.py", PLUGIN)
    project.component("THING", "fake", load="auto", URL="fake://nowhere.invalid")
    with project.client() as client:
        answer = client.get(path)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "component 'thing' is unavailable"}


def test_a_component_is_no_parameter_of_the_request(project: Project) -> None:
    project.plugin("a.py", PLUGIN)
    project.component("THING", "fake")
    schema = project.app().openapi()
    assert "parameters" not in schema["paths"]["/annotated"]["get"]
