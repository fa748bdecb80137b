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


def test_default_components_without_a_host_import_no_client(opa: Opa) -> None:
    opa.environ = {name: value for name, value in opa.environ.items() if not name.endswith("__LOAD")}
    assert imported(opa) & CLIENTS == set()


@pytest.mark.parametrize(
    "variables", [{}, {"OPA_DEBUGPY": "true", "OPA_DEBUGPY_PORT": "0"}], ids=["production", "alone"]
)
def test_settings_are_read_once(opa: Opa, variables: dict[str, str]) -> None:
    (opa.folder / "settings" / "a.py").write_text(
        "import os\nwith open(os.environ['COUNTED'], 'a') as file:\n    file.write('read\\n')\n"
    )
    opa.hello()
    opa.start(COUNTED=str(opa.folder / "counted"), **variables)
    opa.wait_until_ready()
    before = 1 if variables else 0  # by the process that starts the one that serves
    assert (opa.folder / "counted").read_text().split() == ["read"] * (before + 1)


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
