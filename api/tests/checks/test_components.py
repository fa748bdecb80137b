from __future__ import annotations

import pytest

from opa.checks.components import mistakes_at_start, unknown_components_in_routes
from opa.core.arguments import INJECTABLE
from tests.project import Project

ROUTE = """
from typing import Annotated
from fastapi import Depends, WebSocket
from opa import Component, get_router

router = get_router()

def repository(redis: Annotated[object, Component("{name}")]):
    return redis

@router.{method}("/x")
def answer({parameter}):
    pass
"""
START = """
from typing import Annotated
from opa import Component, Setup

class Made(Setup):
    {setup}

{functions}
"""


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.plugins), "…") for mistake in unknown_components_in_routes(project.app())]


def told_at_start(project: Project) -> list[str]:
    errors = mistakes_at_start(project.prepare())
    return [str(error).replace(str(project.plugins), "…") for error in errors]


def test_an_unknown_component_of_a_route_is_reported_with_plugin_route_place_and_the_name_that_was_meant(
    project: Project,
) -> None:
    project.plugin(
        "a.py",
        ROUTE.format(method="get", name="aioredsi", parameter="redis: Annotated[object, Component('aioredsi')]"),
    )
    assert told(project) == [
        "GET /x of plugin 'a' asks for the component 'aioredsi', which OPTIONAL_COMPONENTS does not have, "
        "and answers 503 (…/a.py:11). Did you mean 'aioredis'?"
    ]


@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        ("get", "redis=Component('nowhere')"),
        ("get", "found=Depends(repository)"),
        ("websocket", "socket: WebSocket, found=Depends(repository)"),
    ],
)
def test_an_unknown_component_is_found_in_each_place_of_a_route(project: Project, method: str, parameter: str) -> None:
    project.plugin("a.py", ROUTE.format(method=method, name="nowhere", parameter=parameter))
    (line,) = told(project)
    assert "/x of plugin 'a' asks for the component 'nowhere'" in line
    assert line.endswith(". Add it there, or use one of these: mongodb, walrus, aioredis, celery, sql, sql_sync")


def test_an_unknown_component_in_dependencies_of_an_included_router_is_reported_once_for_each_plugin(
    project: Project,
) -> None:
    project.plugin(
        "a.py",
        """
        from opa import Component, get_router

        inner = get_router()
        inner.get("/1")(lambda: 1)
        inner.get("/2")(lambda: 2)
        router = get_router()
        router.include_router(inner, prefix="/in", dependencies=[Component("nowhere")])
        """,
    )
    (line,) = told(project)
    assert line.startswith("GET /in/1 of plugin 'a' asks for the component 'nowhere'")
    assert "and answers 503 (and 1 more)" in line


@pytest.mark.parametrize("name", ["aioredis", "AioRedis"])
def test_a_component_that_is_configured_and_not_loaded_is_not_reported(project: Project, name: str) -> None:
    project.plugin("a.py", ROUTE.format(method="get", name=name, parameter="found=Depends(repository)"))
    assert told(project) == []


@pytest.mark.parametrize(
    ("setup", "functions", "what"),
    [
        ("def __init__(self, r: Annotated[object, Component('aioredsi')]): pass", "", "setup Made"),
        ("async def run(self, r: Annotated[object, Component('aioredsi')]): pass", "", "setup Made"),
        ("def __init__(self, r=Component('aioredsi')): pass", "", "setup Made"),
        ("pass", "def ready(r: Annotated[object, Component('aioredsi')]): pass", "ready()"),
        ("pass", "async def startup(r: Annotated[object, Component('aioredsi')]): pass", "startup()"),
        ("pass", "def shutdown(r: Annotated[object, Component('aioredsi')]): pass", "shutdown()"),
    ],
)
def test_an_unknown_component_of_what_runs_at_start_is_an_error(
    project: Project, setup: str, functions: str, what: str
) -> None:
    project.plugin("a.py", START.format(setup=setup, functions=functions))
    (line,) = told_at_start(project)
    assert line.startswith(
        f"{what} of plugin 'a' asks for the component 'aioredsi', which OPTIONAL_COMPONENTS does not have (…/a.py:"
    )
    assert line.endswith(". Did you mean 'aioredis'?")


@pytest.mark.parametrize("group", ["startup", "shutdown"])
def test_an_unknown_component_of_a_function_in_a_group_is_an_error(project: Project, group: str) -> None:
    project.plugin(
        "a.py",
        f"""
        from typing import Annotated
        from opa import Component, register

        @register("{group}", uri="warm")
        def warm_up(pm, redis: Annotated[object, Component("aioredsi")]):
            pass
        """,
    )
    assert told_at_start(project) == [
        f"'warm' in the group {group} asks for the component 'aioredsi', which OPTIONAL_COMPONENTS does not have "
        "(…/a.py:5). Did you mean 'aioredis'?"
    ]


@pytest.mark.parametrize("parameter", ["redis", "redis=Depends(str)"])
def test_a_parameter_that_nothing_fits_is_an_error(project: Project, parameter: str) -> None:
    project.plugin(
        "a.py",
        f"""
        from fastapi import Depends
        from opa import Setup

        class Made(Setup):
            def __init__(self, {parameter}):
                pass
        """,
    )
    assert told_at_start(project) == [
        "setup Made of plugin 'a' asks for 'redis', which is not injectable (…/a.py:5). Name one of app, config, "
        'plugin_manager, pm, or annotate it with Annotated[…, Component("…")]'
    ]


def test_the_check_knows_the_same_injectable_parameters_as_the_start(project: Project) -> None:
    names = ", ".join(INJECTABLE)
    project.plugin("a.py", START.format(setup=f"def __init__(self, {names}): pass", functions=f"def ready({names}): 1"))
    assert told_at_start(project) == []
    with project.client() as client:
        assert client.get("/").status_code == 404


def test_annotations_with_which_the_start_fails_are_an_error(project: Project) -> None:
    project.plugin("a.py", START.format(setup="def __init__(self, r: '1 / 0'): pass", functions=""))
    (line,) = told_at_start(project)
    assert "setup Made of plugin 'a' has annotations that cannot be read: ZeroDivisionError" in line


def test_functions_at_the_start_with_known_components_are_not_reported(project: Project) -> None:
    project.plugin(
        "a.py",
        START.format(
            setup="def __init__(self, app, r: Annotated[object, Component('Walrus')]): pass",
            functions="def ready() -> 'Missing': pass\ndef startup(pm, config): pass",
        ),
    )
    assert told_at_start(project) == []
