"""The private names of FastAPI that are used are there, with the shapes that are relied on."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, routing
from fastapi import _compat as fastapi_compat
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from opa._compat.fastapi import inclusion, tested
from opa._compat.fastapi import openapi as compat_openapi
from opa._compat.fastapi.exit_stacks import function_stack
from tests._compat.shapes import parameters
from tests.http.accelerated import accelerated, with_form_limits


def hello() -> str:
    return "hello"


def nested() -> FastAPI:
    """An application with a router in a router."""
    inner, outer, app = APIRouter(prefix="/inner"), APIRouter(), FastAPI()
    inner.add_api_route("/hello", hello)
    inner.mount("/files", FastAPI())
    outer.include_router(inner, prefix="/outer", dependencies=[Depends(hello)])
    outer.add_api_route("/hello", hello)
    app.include_router(outer)
    return app


@accelerated
def test_all_private_names_of_fastapi_that_are_needed_are_there() -> None:
    assert tested.problem() is None


@pytest.mark.parametrize("version", ["0.162.7", "0.999.0", "1.0.0"])
def test_version_that_was_not_tested_is_named(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi, "__version__", version)
    problem = tested.problem() or ""
    assert version in problem
    assert "tested with" in problem


@accelerated
@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in tested.NEEDED.items() for name in names],
)
def test_each_name_that_is_needed_is_missed(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tested, "NEEDED", {**tested.NEEDED, module: (f"{name}_",)})
        problem = tested.problem()
    assert f"{module}.{name}_" in (problem or "")


def test_module_that_is_gone_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi, "__version__", f"{tested.TESTED[0]}.0")
    monkeypatch.setattr(tested, "NEEDED", {"fastapi.gone": ("name",)})
    assert "fastapi.gone.name" in (tested.problem() or "")


def test_routes_of_included_routers_are_found_with_their_paths() -> None:
    found = [(type(route), path) for route, path in inclusion.leaves(nested().routes)]
    assert found[-3:] == [(APIRoute, "/outer/inner/hello"), (Mount, "/outer/files"), (APIRoute, "/hello")]


def test_without_included_routers_the_routes_are_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inclusion, "_contexts", None)
    route = Route("/hello", hello)
    assert list(inclusion.leaves([route])) == [(route, "/hello")]


def test_included_router_is_known_with_its_prefix_and_dependencies() -> None:
    (outer,) = filter(None, map(inclusion.router_in, nested().routes))
    inner = outer.routes[0]
    assert isinstance(inclusion.router_in(inner), APIRouter)
    assert inclusion.prefix_of(inner) == "/outer"
    assert [each.dependency for each in inclusion.dependencies_of(inner)] == [hello]


def test_route_is_no_included_router() -> None:
    route = Route("/hello", hello)
    assert inclusion.router_in(route) is None
    assert inclusion.prefix_of(route) == ""
    assert list(inclusion.dependencies_of(route)) == []


@accelerated
class TestTestedVersion:
    def test_the_state_of_a_route_stands_in_attributes_of_the_route(self) -> None:
        from opa._compat.fastapi.routing import STATE

        route = APIRoute("/hello", hello)
        assert {name for name in STATE if not hasattr(route, name)} == set()

    def test_routes_in_context_have_the_path_and_what_the_routers_add(self) -> None:
        from opa._compat.fastapi.routing import IncludeContext, routes_in_context

        router = APIRouter(tags=["own"])
        router.add_api_route("/hello", hello)
        (found,) = routes_in_context(router, IncludeContext(router, prefix="/at", tags=["added"]))
        assert (found.path, found.tags) == ("/at/hello", ["added", "own"])

    def test_one_route_in_context_has_the_path(self) -> None:
        from opa._compat.fastapi.routing import IncludeContext, IncludedRouter, in_context

        router = APIRouter()
        router.add_api_route("/hello", hello)
        context = in_context(IncludedRouter(router, IncludeContext(router, prefix="/at")), router.routes[0])
        assert context is not None
        assert context.path == "/at/hello"

    def test_all_fields_of_an_included_context_are_known(self) -> None:
        from opa._compat.fastapi.routing import IncludeContext

        assert {field.name for field in dataclasses.fields(IncludeContext)} - {"form_limits", "max_body_size"} == {
            "included_router",
            "prefix",
            "tags",
            "dependencies",
            "default_response_class",
            "responses",
            "callbacks",
            "deprecated",
            "include_in_schema",
            "generate_unique_id_function",
            "strict_content_type",
            "dependency_overrides_provider",
        }

    @with_form_limits
    def test_limits_of_an_included_router_are_seen(self) -> None:
        from opa._compat.fastapi.routing import IncludeContext, has_limits

        options: Any
        for options in ({}, {"max_body_size": 0}, {"form_limits": {"max_files": 1}}):
            app, router = APIRouter(), APIRouter(**options)
            assert has_limits(IncludeContext.for_include(parent_router=app, included_router=router)) is bool(options)
            assert has_limits(IncludeContext.for_include(parent_router=app, included_router=app, **options)) is bool(
                options
            )

    def test_files_of_a_frontend_are_looked_for_by_the_method_that_is_overridden(self) -> None:
        from opa._compat.fastapi.routing import Router, own_frontend_routes

        assert list(Router().frontend_routes()) == []
        assert own_frontend_routes(APIRouter()) == []
        assert "_iter_low_priority_routes(" in inspect.getsource(APIRouter._match_low_priority)

    def test_dependency_says_whether_it_runs_in_a_thread(self) -> None:
        from opa._compat.fastapi.routing import concurrency_of

        depends: Any = Depends(hello)
        route = APIRoute("/hello", hello, dependencies=[depends])
        assert route.dependant.dependencies[0].concurrency is concurrency_of(depends)

    def test_functions_that_describe_models_take_what_they_are_given(self) -> None:
        assert compat_openapi.get_definitions is fastapi_compat.get_definitions
        names = {"fields", "model_name_map", "separate_input_output_schemas"}
        assert names <= set(parameters(compat_openapi.get_definitions))
        assert parameters(compat_openapi.get_flat_models_from_fields) == ["fields", "known_models"]

    def test_caches_that_hold_functions_are_known(self) -> None:
        from fastapi.dependencies import models

        from opa._compat.fastapi.remembered import KINDS, forget_functions

        found = {name for name in vars(models) if hasattr(getattr(models, name), "cache_clear")}
        assert found == set(KINDS)
        forget_functions()
        assert all(getattr(models, name).cache_info().currsize == 0 for name in KINDS)

    def test_telemetry_says_whether_it_is_set_up(self) -> None:
        from opa._compat.fastapi.telemetry import ExceptionTelemetryMiddleware, sees_telemetry

        assert sees_telemetry(FastAPI())() is False
        assert parameters(ExceptionTelemetryMiddleware) == ["app"]

    def test_route_in_scope_is_where_it_is_looked_for(self) -> None:
        assert routing._FASTAPI_SCOPE_KEY == "fastapi"


def test_what_ends_with_the_function_of_a_route_ends_before_the_answer() -> None:
    app, told = FastAPI(), []

    def lines() -> Iterator[str]:
        told.append("the answer begins")
        yield "done"

    @app.get("/")
    async def route(request: Request) -> StreamingResponse:
        stack = function_stack(request.scope)
        assert stack is not None
        stack.callback(told.append, "the function has ended")
        return StreamingResponse(lines())

    assert TestClient(app).get("/").text == "done"
    assert told == ["the function has ended", "the answer begins"]
    assert function_stack({}) is None
