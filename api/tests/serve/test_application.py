"""What the processes of `opa start` import for a project that needs little of it."""

from __future__ import annotations

import pytest

from tests.serve.process import Opa, wait_until

CLIENTS = {"amqp", "billiard", "bson", "celery", "kombu", "motor", "pymongo", "redis", "walrus"}
IMPORTED = """
import sys

from opa import get_router

router = get_router()


@router.get("/imported")
async def imported():
    return sorted({name.partition(".")[0] for name in sys.modules})
"""


def imported(opa: Opa, **environ: str) -> set[str]:
    """The packages that a worker has imported when it answers."""
    opa.plugin("imported.py", IMPORTED)
    opa.is_fresh = True
    opa.start(**environ)
    wait_until(lambda: opa.answers("/imported"), what=lambda: opa.log)
    return set(opa.get("/imported"))


def test_plugins_without_tasks_and_components_import_no_client(opa: Opa) -> None:
    assert imported(opa) & CLIENTS == set()


def test_components_that_nobody_has_asked_for_import_no_client_where_their_hosts_are_not_there(opa: Opa) -> None:
    opa.environ = {name: value for name, value in opa.environ.items() if not name.endswith("__LOAD")}
    assert imported(opa) & CLIENTS == set()


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("from opa import task\n@task\ndef noop(): ...", "celery"),
        ("from celery import shared_task\n@shared_task\ndef noop(): ...", "celery"),
    ],
)
def test_a_task_imports_celery(opa: Opa, text: str, package: str) -> None:
    opa.plugin("noop.py", text)
    assert package in imported(opa)
