"""No route of an example answers 500, or something that its description in the OpenAPI document does not have.

Some cases of each route, in this process; `make fuzz` has many, of running servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyFailure

from tests.examples.examples import EXAMPLES, put_into
from tests.fuzz.examples import without_waiting
from tests.project import Project

schemathesis: Any = pytest.importorskip("schemathesis")
asgi: Any = pytest.importorskip("schemathesis.python.asgi")

CASES = 10
"""Of each route, with what it should take, and as many with what it should not."""
PATIENCE = 300
"""Seconds for an answer."""


@pytest.fixture
def stopped() -> Iterator[None]:
    """Stop in the end what schemathesis has started; by itself it does that at the end of the process."""
    yield
    asgi.shutdown_lifespans()


def cases_of(operation: Any) -> Iterator[Any]:
    """The strategies for an operation."""
    yield operation.as_strategy(schemathesis.GenerationMode.POSITIVE)
    raw = operation.definition.raw
    is_text = [each["schema"].get("type") == "string" for each in raw.get("parameters", ())]
    if "requestBody" in raw or not all(is_text):  # any text is one that it should take
        yield operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_answers_as_it_describes_itself(
    example: Path, project: Project, request: pytest.FixtureRequest
) -> None:
    put_into(project, example, request)
    without_waiting(project.plugins)
    schema = schemathesis.openapi.from_asgi("/openapi.json", project.app(), timeout=PATIENCE)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert operations
    for operation in operations:
        for cases in cases_of(operation):

            @given(cases)
            @settings(
                max_examples=CASES,
                database=None,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def is_answered(case: Any) -> None:
                case.call_and_validate(timeout=PATIENCE)

            try:
                is_answered()
            except FlakyFailure as flaky:
                # Python 3.11 may fail in the parser (AST recursion depth) where hypothesis describes a lambda.
                if not all(isinstance(error, SystemError) for error in flaky.exceptions):
                    raise
                is_answered()
