from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from opa.errors import MetadataError, RequirementError
from tests.project import Project


def order(project: Project) -> list[str]:
    objects = project.prepare().registry.objects
    return [found.plugin.name for found in objects if not found.plugin.file.is_built_in]


def error_of(project: Project) -> str:
    with pytest.raises(RequirementError) as caught:
        project.prepare()
    return str(caught.value)


def plugins(project: Project, **metadata: Any) -> None:
    for name, data in metadata.items():
        project.plugin(f"{name}.py")
        project.meta(f"{name}-meta.json", data)


def test_plugins_come_after_those_that_they_require_and_otherwise_by_name(project: Project) -> None:
    plugins(project, a={"requires": ["d"]}, b={}, c={"requires": ["a"]}, d={})
    assert order(project) == ["b", "d", "a", "c"]


def test_the_order_is_the_same_with_every_hash_seed(project: Project) -> None:
    plugins(project, **{f"p{n}": {"requires": [f"p{m}" for m in range(n + 1, 12, n + 2)]} for n in range(12)})
    program = "from opa.bootstrap import prepare; print([f.plugin.name for f in prepare().registry.objects])"
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": str(seed), "OPA_LOGLEVEL": "error"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert len(found) == 1


def test_a_circle_is_printed_as_a_path(project: Project) -> None:
    plugins(project, x={}, a={"requires": ["b"]}, b={"requires": ["c"]}, c={"requires": ["a"]}, z={"requires": ["c"]})
    assert "plugins require one another in a circle: a -> b -> c -> a" in error_of(project)


def test_a_plugin_that_requires_itself_is_a_circle(project: Project) -> None:
    plugins(project, a={"requires": ["a"]})
    assert "a -> a" in error_of(project)


def test_a_requirement_that_is_missing_names_both_sides(project: Project) -> None:
    plugins(project, a={"requires": ["auth>=1.2"]})
    error = error_of(project)
    assert f"plugin 'a' requires the plugin 'auth>=1.2', which is not there ({project.plugins}/a.py)" in error


def test_a_requirement_that_is_too_old_names_both_sides(project: Project) -> None:
    plugins(project, a={"requires": ["auth>=1.2"]}, auth={"version": "1.1"})
    error = error_of(project)
    assert "plugin 'a' requires the plugin 'auth>=1.2'" in error
    assert f"and plugin 'auth' ({project.plugins}/auth.py) is version 1.1" in error


def test_a_requirement_with_a_version_is_not_met_by_a_plugin_that_says_none(project: Project) -> None:
    plugins(project, a={"requires": ["auth>=1.2"]}, auth={})
    assert "says no version" in error_of(project)


def test_a_plugin_is_required_by_the_name_in_its_metadata(project: Project) -> None:
    plugins(project, a={"requires": ["acme-auth~=1.2"]}, zz={"name": "acme-auth", "version": "1.9"})
    assert order(project) == ["zz", "a"]


def test_a_plugin_that_a_filter_skipped_meets_no_requirement_and_the_filter_is_named(project: Project) -> None:
    plugins(project, a={"requires": ["B"]}, b={})
    project.settings(PLUGIN_BLACKLIST_RE=".*/b$")
    assert "requires the plugin 'B', which a filter skips: PLUGIN_BLACKLIST_RE '.*/b$' matches" in error_of(project)


def test_a_plugin_for_another_version_of_the_interface_is_an_error(project: Project) -> None:
    plugins(project, a={"opa": ">=99"})
    assert "plugin 'a' works with version >=99 of the plugin interface, and this is 1.0" in error_of(project)


def test_a_missing_package_names_the_requirement_and_the_command_that_installs_it(project: Project) -> None:
    plugins(project, a={"packages": ["no-such-thing>=3"]})
    error = error_of(project)
    assert "plugin 'a' requires the Python package 'no-such-thing>=3', which is not installed" in error
    assert "pip install 'no-such-thing>=3'" in error


def test_a_package_that_is_too_old_names_the_version_that_is_installed(project: Project) -> None:
    plugins(project, a={"packages": ["fastapi>=99", "starlette"]})
    assert "requires the Python package 'fastapi>=99', and version 0." in error_of(project)


def test_metadata_of_a_package_may_stand_in_its_pyproject(project: Project) -> None:
    project.plugin("a/__init__.py")
    project.plugin("a/pyproject.toml", '[tool.opa]\nrequires = ["b"]\ntags = ["toml"]\nversion = "2.0"\n')
    project.meta("a/meta.json", {"version": "3.0"})
    plugins(project, b={})
    assert order(project) == ["b", "a"]
    metadata = project.prepare().registry.objects[1].plugin.file.metadata
    assert (str(metadata.version), metadata.tags) == ("3.0", frozenset({"toml"}))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"version": "one"}, "'version' in plugin metadata is not a version: 'one'"),
        ({"version": 1}, "'version' in plugin metadata is an int, not a string"),
        ({"requires": "b"}, "'requires' in plugin metadata is not a list of strings"),
        ({"requires": ["b >= "]}, "'requires' in plugin metadata has 'b >= ', which is not a requirement"),
        ({"packages": ["!"]}, "'packages' in plugin metadata has '!'"),
        ({"opa": "one"}, "'opa' in plugin metadata is not a range of versions"),
    ],
)
def test_metadata_of_the_wrong_shape_is_an_error_that_names_file_and_key(
    project: Project, data: dict[str, Any], problem: str
) -> None:
    plugins(project, a=data)
    with pytest.raises(MetadataError) as caught:
        project.prepare()
    assert problem in str(caught.value)
    assert "a-meta.json" in str(caught.value)


@pytest.mark.parametrize("requirement", ["my-auth>=1.0", "My_Auth", "my.auth"])
def test_a_name_that_is_the_same_for_packages_meets_a_requirement(project: Project, requirement: str) -> None:
    project.plugin("my_auth.py")
    project.meta("my_auth-meta.json", {"version": "1.0"})
    project.plugin("aa.py")
    project.meta("aa-meta.json", {"requires": [requirement]})
    names = [plugin.name for plugin in project.prepare().roster.plugins]
    assert names.index("my_auth") < names.index("aa")


def test_the_very_name_goes_before_one_that_is_the_same_for_packages(project: Project) -> None:
    for name, version in {"my-auth": "1", "my_auth": "2"}.items():
        project.plugin(f"{name}.py")
        project.meta(f"{name}-meta.json", {"version": version})
    project.plugin("aa.py")
    project.meta("aa-meta.json", {"requires": ["my_auth==2", "my-auth==1"]})
    assert "aa" in project.prepare().roster


def test_a_plugin_that_requires_a_skipped_one_in_another_spelling_is_skipped_and_says_so(project: Project) -> None:
    project.plugin("my_auth.py", "import nowhere_to_be_found")
    project.plugin("aa.py")
    project.meta("aa-meta.json", {"requires": ["my-auth"]})
    project.settings(PLUGIN_FAILURE="skip")
    assert "which is skipped" in str(project.prepare().roster.skipped["aa"])


def test_a_requirement_of_a_plugin_that_has_become_a_setting_names_the_setting(project: Project) -> None:
    project.plugin("aa.py")
    project.meta("aa-meta.json", {"requires": ["core-cors"]})
    with pytest.raises(RequirementError, match="the setting ALLOW_ORIGINS turns it on"):
        project.prepare()


def test_a_requirement_that_looks_like_a_plugin_says_which(project: Project) -> None:
    project.plugin("billing.py")
    project.plugin("aa.py")
    project.meta("aa-meta.json", {"requires": ["biling"]})
    with pytest.raises(RequirementError, match="Did you mean 'billing'"):
        project.prepare()


def test_everything_that_is_missing_is_named(project: Project) -> None:
    project.plugin("aa.py")
    project.meta("aa-meta.json", {"requires": ["one", "two>=2"]})
    with pytest.raises(RequirementError, match=r"requires the plugin 'one', which is not there; the plugin 'two>=2'"):
        project.prepare()


def test_a_requirement_whose_condition_does_not_hold_here_is_none(project: Project) -> None:
    condition = "python_version < '3'"
    plugins(project, a={"requires": [f"nowhere; {condition}", f"b>=9; {condition}"]}, b={"version": "1.0"})
    assert order(project) == ["a", "b"]
