from __future__ import annotations

import sys
from pathlib import Path

import pytest

from opa.checks.folders import folders_without_init
from tests.project import Project, no_root


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.plugins), "…") for mistake in folders_without_init(project.prepare())]


def test_a_folder_with_files_of_python_and_no_init_is_reported_with_what_to_do(project: Project) -> None:
    for name in ("routes", "models", "a", "b"):
        project.plugin(f"billing/{name}.py")
    assert told(project) == [
        "folder 'billing' is not a plugin, since it has no __init__.py, and nothing imports what is in it: "
        "a.py, b.py, models.py and 1 more (…/billing). Add an __init__.py; where each file is a plugin, add the folder "
        "to PLUGIN_PATHS; where it is something else, let its name start with an underscore"
    ]


def test_packages_in_a_folder_as_it_comes_out_of_an_archive_are_reported(project: Project) -> None:
    for file in ("shop/__init__.py", "tests/__init__.py", "_build/__init__.py", "docs/index.md"):
        project.plugin(f"shop-main/{file}", "")
    assert told(project) == [
        "folder 'shop-main' is not a plugin, since it has no __init__.py, and nothing imports the packages in it: shop "
        "(…/shop-main). Move them into the plugin path, or add the folder to PLUGIN_PATHS; where it is something else, "
        "let its name start with an underscore"
    ]


def test_packages_in_a_folder_that_a_plugin_imports_from_are_not_reported(project: Project) -> None:
    project.plugin("vendor/money/__init__.py", "def whole(): return 1")
    project.plugin("shop.py", "import sys\nsys.path.append(__file__.replace('shop.py', 'vendor'))\nimport money")
    try:
        assert told(project) == []
    finally:
        sys.path[:] = [entry for entry in sys.path if not entry.endswith("vendor")]
        sys.modules.pop("money", None)


@pytest.mark.parametrize(
    "file",
    [
        "package/__init__.py",
        "data/prices.csv",
        "templates/page.html",
        "templates/deeper/generator.py",
        "__pycache__/hello.cpython-313.py",
        ".git/hook.py",
        "_scripts/load.py",
        "tests/test_hello.py",
        "tests/conftest.py",
    ],
)
def test_a_folder_that_is_a_plugin_or_looks_like_none_is_not_reported(project: Project, file: str) -> None:
    project.plugin(file)
    (project.plugins / "empty").mkdir()
    assert told(project) == []


def test_a_folder_that_a_plugin_imports_from_is_not_reported(project: Project) -> None:
    project.plugin("shared/money.py", "def whole(): return 1")
    project.plugin("shop.py", "from shared.money import whole")
    assert told(project) == []


def test_a_folder_that_is_a_plugin_path_itself_is_not_reported(project: Project) -> None:
    project.plugin("team/hello.py")
    project.settings(PLUGIN_PATHS=[str(project.plugins), str(project.plugins / "team")])
    assert told(project) == []


@pytest.mark.parametrize(
    "filters",
    [
        {"PLUGIN_BLACKLIST_LIST": ["plugins/scripts"]},
        {"PLUGIN_BLACKLIST_RE": ".*/scripts$"},
        {"PLUGIN_WHITELIST_LIST": ["plugins/hello"]},
    ],
)
def test_a_folder_that_a_filter_would_leave_out_is_not_reported(project: Project, filters: dict[str, object]) -> None:
    project.plugin("hello.py")
    project.plugin("scripts/load.py")
    project.settings(**filters)
    assert told(project) == []


def test_an_unreadable_folder_is_ignored(open_project: Project) -> None:
    (open_project.plugins / "closed").mkdir(mode=0)
    open_project.plugin("open/shop.py")
    manager = open_project.prepare()
    with no_root():
        (mistake,) = folders_without_init(manager)
    assert mistake.plugin == "open"


def test_a_module_does_not_hide_that_the_folder_beside_it_is_none(project: Project) -> None:
    project.plugin("shop.py")
    folder: Path = project.plugin("shop/routes.py").parent
    (line,) = told(project)
    assert line.startswith(f"folder '{folder.name}' is not a plugin")
