"""The form of a task: its fields, and what becomes of what is entered."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from opa.plugins.console.task_form import Field, FormError, arguments_in
from opa.plugins.console.task_form import fields_of as fields_of_parameters
from opa.tasks.parameters import Parameters
from tests.project import Project


def fields_of(function: Callable[..., Any]) -> list[Field]:
    return fields_of_parameters(signature(function).parameters.values(), Parameters("", function).annotations)


def report(name: str, pages: int = 3, *more: str, draft: bool = False, by: Unknown = None, **rest: Any) -> None:  # type: ignore[name-defined]  # noqa: F821
    """A task."""


def plain(
    name: str, pages: int = 3, draft: bool = False, note: str = "", ratio: float = 0.5, tags: list[str] | None = None
) -> None:
    """Another one."""


def test_each_parameter_that_can_be_named_is_a_field_of_its_kind() -> None:
    assert fields_of(plain) == [
        Field("name", "text", "str", "", is_required=True),
        Field("pages", "number", "int", "3", is_required=False),
        Field("draft", "switch", "bool", "false", is_required=False),
        Field("note", "text", "str", "", is_required=False),
        Field("ratio", "number", "float", "0.5", is_required=False),
        Field("tags", "json", "list[str] | None", "null", is_required=False),
    ]


def test_a_default_that_is_secret_is_not_shown_and_stays_that_of_the_function() -> None:
    def signs(
        password: str = "planted", url: str = "redis://:planted@cache", token: bool = False, page: str = "a=b"
    ) -> None: ...

    fields = fields_of(signs)
    assert [field.default for field in fields] == ["", "", "false", "a=b"]
    assert arguments_in(fields, {field.name: field.default for field in fields}) == {}
    assert arguments_in(fields, {"password": "mine"}) == {"password": "mine"}


def test_an_annotation_that_leads_nowhere_makes_a_field_of_json() -> None:
    assert [(field.name, field.kind) for field in fields_of(report)] == [
        ("name", "text"),
        ("pages", "number"),
        ("draft", "switch"),
        ("by", "json"),
    ]


@pytest.mark.parametrize(
    ("entered", "arguments"),
    [
        ({"name": "a"}, {"name": "a"}),
        ({"name": "a", "pages": "3", "draft": "false", "note": "", "tags": "null"}, {"name": "a"}),
        ({"name": "a", "pages": "4", "draft": "true"}, {"name": "a", "pages": 4, "draft": True}),
        ({"name": "3", "note": "null", "tags": '["x"]'}, {"name": "3", "note": "null", "tags": ["x"]}),
        ({"name": "a", "other": "x"}, {"name": "a"}),
    ],
)
def test_what_is_left_as_it_was_is_not_given(entered: dict[str, str], arguments: dict[str, Any]) -> None:
    assert arguments_in(fields_of(plain), entered) == arguments


@pytest.mark.parametrize(
    ("entered", "problem"),
    [
        ({}, "name is missing"),
        ({"name": object()}, "name is missing"),
        ({"name": "a", "pages": "four"}, "pages is not JSON"),
        ({"name": "a", "tags": "[" * 100_000}, "tags is not JSON"),
    ],
)
def test_a_field_that_cannot_be_an_argument_is_named(entered: dict[str, Any], problem: str) -> None:
    with pytest.raises(FormError, match=problem):
        arguments_in(fields_of(plain), entered)


def test_what_a_task_is_not_sent_with_is_no_field(project: Project) -> None:
    project.plugin(
        "jobs.py",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING, Annotated
        from opa import Component, task
        if TYPE_CHECKING:
            from redis.asyncio import Redis
        @task(bind=True)
        async def count(self, pages: int, redis: Annotated[Redis, Component("aioredis")], by: Redis=None) -> A: ...
        """,
    )
    project.prepare()
    from opa.plugins.console.tasks_page import fields_of_task

    assert [(field.name, field.kind, field.is_required) for field in fields_of_task("jobs.count")] == [
        ("pages", "number", True),
        ("by", "json", False),
    ]
