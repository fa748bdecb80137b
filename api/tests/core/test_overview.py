from __future__ import annotations

import pytest

from opa.core.overview import overview
from tests.project import Project


def test_the_overview_names_and_counts_what_is_not_built_in(project: Project) -> None:
    project.plugin(
        "shop.py",
        "from opa import get_router, task\nrouter = get_router()\n@router.get('/a')\ndef a(): ...\n"
        "@router.post('/a')\ndef b(): ...\n@task\ndef pay(): ...",
    )
    project.plugin("hello.py")
    project.plugin("broken.py", "import nowhere_to_be_found")
    project.plugin("old.py")
    project.plugin("shop copy.py")
    project.settings(PLUGIN_FAILURE="skip", PLUGIN_BLACKLIST_LIST=["plugins/old"])
    app = project.app()
    plugins = "2 plugins loaded (hello, shop), 3 skipped (broken, old, shop copy.py)"
    assert overview(app.manager, app.count_plugin_routes()) == f"{plugins}; 2 routes, 1 task"
    assert overview(app.manager) == f"{plugins}; 1 task"


def test_an_overview_of_many_plugins_names_the_first(project: Project) -> None:
    for number in range(20):
        project.plugin(f"p{number:02}.py")
    told = overview(project.prepare())
    assert told.startswith("20 plugins loaded (p00, p01,")
    assert told.endswith(", p11, and 8 more); 0 tasks")


def test_an_application_says_it_when_it_is_made(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    from opa.main import start_api

    project.plugin("hello.py")
    start_api()
    told = capsys.readouterr().err
    assert told.count("1 plugin loaded (hello); 0 routes, 0 tasks") == 1
