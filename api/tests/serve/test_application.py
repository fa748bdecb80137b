"""What the processes of `opa start` import for a project that needs little of it."""

from __future__ import annotations

import pytest

from tests.serve.process import Opa, wait_until

HEAVY = {"IPython", "alembic", "dynaconf", "httpx", "jinja2", "mcp", "rich", "sqlalchemy", "typer", "yaml"}
MOST_MODULES = 310
"""Of opa-stack, in the smallest start: each takes a tenth of a millisecond, and 300 are a tenth of it."""
MOST_DATACLASSES = 7
"""Of them, which take a third of a millisecond each; a `NamedTuple` takes a tenth."""
CLIENTS = {"amqp", "billiard", "bson", "celery", "kombu", "motor", "pymongo", "redis", "walrus"}
IMPORTED = """
import sys

from opa import get_router

router = get_router()


@router.get("/imported")
async def imported():
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "opa"]
    made = {value for module in ours for value in vars(module).values() if hasattr(value, "__dataclass_fields__")}
    return {
        "packages": sorted({name.partition(".")[0] for name in sys.modules}),
        "modules": sorted(module.__name__ for module in ours),
        "dataclasses": sorted(f"{each.__module__}.{each.__qualname__}" for each in made if isinstance(each, type)),
    }
"""


def at_first_answer(opa: Opa, **environ: str) -> dict[str, list[str]]:
    """What a worker has imported when it answers."""
    opa.plugin("imported.py", IMPORTED)
    opa.is_fresh = True
    opa.start(**environ)
    wait_until(lambda: opa.answers("/imported"), what=lambda: opa.log)
    found: dict[str, list[str]] = opa.get("/imported")
    return found


def imported(opa: Opa, **environ: str) -> set[str]:
    """The packages among that."""
    return set(at_first_answer(opa, **environ)["packages"])


def test_a_start_with_one_plugin_imports_and_makes_little(opa: Opa) -> None:
    found = at_first_answer(opa)
    assert set(found["packages"]) & (CLIENTS | HEAVY) == set()
    assert len(found["modules"]) <= MOST_MODULES, f"import where they are used what is new among {found['modules']}"
    made = [name for name in found["dataclasses"] if name.startswith("opa.")]
    assert len(made) <= MOST_DATACLASSES, f"make a NamedTuple of what is new among {made}"


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
