from __future__ import annotations

import builtins
import sys

import pytest

from opa.errors import PluginError, PluginImportError
from tests.project import Project


def error_of(project: Project) -> str:
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    return str(caught.value)


def test_plugins_import_from_one_another_across_paths(project: Project) -> None:
    project.plugin("math_utils.py", "def double(n): return 2 * n", folder="common")
    project.plugin("grades.py", "from math_utils import double\nvalue = double(4)")
    project.settings(PLUGIN_PATHS=["plugins", "common"])
    project.prepare()
    assert sys.modules["grades"].value == 8


def test_a_plugin_that_a_filter_skipped_can_still_be_imported(project: Project) -> None:
    project.plugin("math_utils.py", "def double(n): return 2 * n")
    project.plugin("grades.py", "from math_utils import double")
    project.settings(PLUGIN_BLACKLIST_RE=".*/math_utils")
    manager = project.prepare()
    assert "math_utils" not in [found.plugin.name for found in manager.registry.objects]
    assert sys.modules["grades"].double(2) == 4


def test_plugin_paths_stand_behind_installed_modules(project: Project) -> None:
    project.prepare()
    assert sys.path.index(str(project.plugins)) > sys.path.index(next(p for p in sys.path if "site-packages" in p))


def test_a_plugin_whose_own_import_is_misspelt_is_named_with_file_and_line(project: Project) -> None:
    file = project.plugin("broken.py", "import os\nimport jsom\n")
    error = error_of(project)
    assert error.startswith(f"plugin 'broken' does not import: ModuleNotFoundError: No module named 'jsom' ({file}:2)")
    assert "Did you mean 'json'?" in error


def test_a_missing_package_is_named_in_what_to_do(project: Project) -> None:
    project.plugin("broken.py", "import nothing_like_it_is_installed")
    assert "Install the package that has 'nothing_like_it_is_installed'" in error_of(project)


def test_a_syntax_error_is_named_with_file_and_line(project: Project) -> None:
    file = project.plugin("broken.py", "a = 1\nb = (\n")
    error = error_of(project)
    assert "SyntaxError" in error
    assert f"{file}:2" in error


def test_an_error_in_what_a_plugin_imports_is_named_where_it_is(project: Project) -> None:
    file = project.plugin("package/deep.py", "\n\nraise RuntimeError('no')")
    project.plugin("package/__init__.py", "from . import deep")
    error = error_of(project)
    assert f"plugin 'package' does not import: RuntimeError: no ({file}:3)" in error


def test_the_cause_of_a_failed_import_is_chained(project: Project) -> None:
    project.plugin("broken.py", "1 / 0")
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_plugin_that_exits_while_it_is_imported_is_an_error(project: Project) -> None:
    project.plugin("broken.py", "import sys\nsys.exit(0)")
    assert "it calls sys.exit(0) while it is imported" in error_of(project)


@pytest.mark.parametrize("name", ["redis", "json", "fastapi"])
def test_a_plugin_named_like_an_installed_module_is_an_error(project: Project, name: str) -> None:
    file = project.plugin(f"{name}.py")
    error = error_of(project)
    assert f"plugin '{name}' has the name of" in error
    assert f"({file}:1)" in error
    assert f"Rename it, for example to my_{name}" in error


def test_a_name_of_an_installed_module_is_no_error_where_a_filter_drops_the_plugin(project: Project) -> None:
    project.plugin("redis.py", "raise RuntimeError")
    project.settings(PLUGIN_BLACKLIST_RE=".*/redis$")
    project.prepare()


def test_a_built_in_plugin_is_one_module_under_both_of_its_names(project: Project) -> None:
    project.plugin("first.py", "import driver_redis\nimport opa.plugins.driver_redis as same")
    project.prepare()
    assert sys.modules["first"].driver_redis is sys.modules["first"].same


def test_a_plugin_with_the_name_of_a_built_in_one_takes_its_place_and_may_build_on_it(
    project: Project,
) -> None:
    project.plugin(
        "driver_redis.py",
        """
        from opa.plugins.driver_redis import Aioredis as BuiltIn

        class Aioredis(BuiltIn):
            name = "redis-aioredis"
        """,
    )
    project.settings(OPTIONAL_COMPONENTS={"dynaconf_merge": True, "WALRUS": {"LOAD": "no", "DRIVER": "none"}})
    assert project.prepare().drivers["redis-aioredis"].__module__ == "driver_redis"


def test_an_application_that_is_prepared_later_gets_its_own_modules(project: Project) -> None:
    project.plugin("hello.py", "value = 1")
    project.prepare()
    first = sys.modules["hello"]
    project.plugin("hello.py", "value = 2  # changed")
    project.prepare()
    assert (first.value, sys.modules["hello"].value) == (1, 2)


def test_two_plugins_of_one_name_from_different_applications_are_kept_apart(project: Project) -> None:
    project.plugin("hello.py", "value = 'a'", folder="a")
    project.plugin("hello.py", "value = 'b'", folder="b")
    values = []
    for folder in "ab":
        project.settings(PLUGIN_PATHS=[folder])
        manager = project.prepare()
        values.append([found.plugin.module.value for found in manager.registry.objects if found.plugin.name == "hello"])
    assert values == [["a"], ["b"]]


def test_a_plugin_that_cannot_be_imported_twice_is_told_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "import sys\nsys.repeats += 1\nif sys.repeats > {}: raise ValueError('mine')"
    project.plugin("a.py", broken.format(1))
    monkeypatch.setattr(sys, "repeats", 0, raising=False)
    project.app()
    with pytest.raises(PluginImportError, match=r"ValueError: mine .*It went well before in this process"):
        project.app()


@pytest.mark.parametrize(
    "text",
    [
        "def ready():\n    STEP",
        "from opa import Setup\nclass Mine(Setup):\n    def run(self):\n        STEP",
    ],
)
def test_a_step_that_fails_the_second_time_is_reported(project: Project, text: str) -> None:
    project.plugin("a.py", text.replace("STEP", "import builtins; vars(builtins).pop('there_once')"))
    builtins.there_once = True  # type: ignore[attr-defined]
    with project.client():
        pass
    with pytest.raises(PluginError, match=r"KeyError: .*It went well before in this process"), project.client():
        pass
